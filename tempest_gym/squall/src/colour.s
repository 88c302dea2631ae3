; Colours by block of 16 levels.

.include "ram.inc"
.include "hardware.inc"
.include "draw.inc"

.export colour_load

; active low: bit 3 green, bit 2 blue, bit 1 red, bit 0 a little red
HUE_WHITE       = $0
HUE_CYAN        = $3
HUE_YELLOW      = $4
HUE_GREEN       = $7
HUE_MAGENTA     = $8
HUE_BLUE        = $B
HUE_RED         = $C
HUE_BLACK       = $F

FIXED           = C_TANKER      ; entries before and after the blocks' own stay
OWN             = C_PLAYER - C_TANKER + 1

.segment "DRAW"

; The colours of `level`. Clobbers all.
colour_load:
        ldx     #15
@fixed: lda     constant,x
        sta     COLOUR_RAM,x
        dex
        bpl     @fixed
        lda     level
        lsr
        lsr
        lsr
        lsr
        cmp     #6
        bcc     @block
        lda     #5
@block: tax
        lda     block_start,x
        tax
        ldy     #0
@own:   lda     blocks,x
        sta     COLOUR_RAM+FIXED,y
        inx
        iny
        cpy     #OWN
        bne     @own
        rts

constant:
        .byte   HUE_WHITE, HUE_YELLOW, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, HUE_BLUE, HUE_RED, HUE_GREEN, HUE_CYAN
block_start:
.repeat 6, i
        .byte   OWN * i
.endrepeat
blocks:                         ; tanker, flipper, pulsar, spiker, tube, lane, shot, enemy shot, burst, player
        .byte   HUE_MAGENTA, HUE_RED, HUE_CYAN, HUE_GREEN, HUE_BLUE, HUE_YELLOW, HUE_YELLOW, HUE_WHITE, HUE_RED, HUE_YELLOW
        .byte   HUE_BLUE, HUE_MAGENTA, HUE_YELLOW, HUE_CYAN, HUE_RED, HUE_GREEN, HUE_WHITE, HUE_YELLOW, HUE_MAGENTA, HUE_GREEN
        .byte   HUE_MAGENTA, HUE_RED, HUE_CYAN, HUE_GREEN, HUE_YELLOW, HUE_WHITE, HUE_CYAN, HUE_WHITE, HUE_RED, HUE_CYAN
        .byte   HUE_MAGENTA, HUE_RED, HUE_YELLOW, HUE_GREEN, HUE_CYAN, HUE_WHITE, HUE_YELLOW, HUE_WHITE, HUE_RED, HUE_YELLOW
        .byte   HUE_MAGENTA, HUE_RED, HUE_CYAN, HUE_GREEN, HUE_BLACK, HUE_WHITE, HUE_YELLOW, HUE_WHITE, HUE_RED, HUE_YELLOW
        .byte   HUE_MAGENTA, HUE_YELLOW, HUE_CYAN, HUE_BLUE, HUE_GREEN, HUE_RED, HUE_WHITE, HUE_YELLOW, HUE_RED, HUE_RED
