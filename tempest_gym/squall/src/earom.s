; The EAROM keeps the three best scores, their initials and the clocks (ARCADE B.3, C.13; HARDWARE 1).
; Addresses 0-8 scores, 9-17 initials, 18-29 clocks and game counts, 30 check sum.

.include "hardware.inc"
.include "ram.inc"

.export earom_load, earom_save, earom_step

IMAGE           = 30
TOP_THREE       = 15            ; offset of the last three in the lists
SEED            = $A5

SELECT_READ     = $08           ; select, C1
SELECT_ERASE    = $0E           ; select, C2, not C1
SELECT_WRITE    = $0C           ; select, not C1
CLOCK           = $01

.segment "CODE"

; At power-on: the contents if the check sum is right, else nothing changes. Clobbers A, X, Y.
earom_load:
        lda     #SEED
        sta     earom_sum
        ldy     #0
@sum:   jsr     fetch
        cpy     #IMAGE
        beq     @check
        clc
        adc     earom_sum
        sta     earom_sum
        iny
        bne     @sum
@check: cmp     earom_sum
        bne     @out
        ldy     #0
@copy:  jsr     fetch
        sta     earom_byte
        jsr     cell
        lda     earom_byte
        sta     (ptr),y
        iny
        cpy     #IMAGE
        bne     @copy
@out:   rts

; Has everything written, beginning with the next step. Clobbers A.
earom_save:
        lda     #1
        sta     earom_state
        lda     #0
        sta     earom_at
        lda     #SEED
        sta     earom_sum
        rts

; Every second frame: one byte, if any is due. Clobbers A, X, Y.
earom_step:
        lda     earom_state
        beq     @out
        ldy     earom_at
        cpy     #IMAGE
        beq     @last
        jsr     cell
        lda     (ptr),y
        pha
        clc
        adc     earom_sum
        sta     earom_sum
        pla
        inc     earom_at
        jmp     store
@last:  lda     #0
        sta     earom_state
        lda     earom_sum
        jmp     store
@out:   rts

; ptr so that (ptr),y is the RAM of EAROM byte Y. Keeps Y, clobbers A.
cell:
        cpy     #9
        bcs     @names
        lda     #<(high_scores+TOP_THREE)
        ldx     #>(high_scores+TOP_THREE)
        bne     @set
@names: cpy     #18
        bcs     @clocks
        lda     #<(initials+TOP_THREE-9)
        ldx     #>(initials+TOP_THREE-9)
        bne     @set
@clocks:
        lda     #<(on_time-18)
        ldx     #>(on_time-18)
@set:   sta     ptr
        stx     ptr+1
        rts

; Byte Y of the EAROM in A. Keeps Y.
fetch:
        sta     EAROM_LATCH,y
        lda     #SELECT_READ
        sta     EAROM_CONTROL
        lda     #SELECT_READ | CLOCK
        sta     EAROM_CONTROL
        lda     #SELECT_READ
        sta     EAROM_CONTROL
        lda     EAROM_DATA
        pha
        lda     #0
        sta     EAROM_CONTROL
        pla
        rts

; A into byte Y of the EAROM, erased first; a byte that is right already is left alone. Keeps Y.
store:
        sta     earom_byte
        jsr     fetch
        cmp     earom_byte
        beq     @out
        lda     earom_byte
        sta     EAROM_LATCH,y
        lda     #SELECT_ERASE
        jsr     @pulse
        lda     #SELECT_WRITE
        jsr     @pulse
        lda     #0
        sta     EAROM_CONTROL
@out:   rts
@pulse: sta     EAROM_CONTROL
        ora     #CLOCK
        sta     EAROM_CONTROL
        and     #<~CLOCK
        sta     EAROM_CONTROL
        rts
