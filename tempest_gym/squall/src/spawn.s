; Pending enemies: their circling, their fall, the moment of birth (ARCADE C.6).

.include "hardware.inc"
.include "ram.inc"

.export spawn, nymphs_fill, clear_enemies
.import choose_type, make_enemy

CIRCLE          = $40           ; from this height on a nymph circles
BAND            = $20

.segment "RODATA"

lane_after:     .byte 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0
fold_bit:       .byte $01, $02, $04, $08, $10, $20, $40, $80, $80, $40, $20, $10, $08, $04, $02, $01

.segment "CODE"

; Empties all enemy slots, counts and explosions. Clobbers A, X.
clear_enemies:
        lda     #0
        ldx     #SLOTS-1
@slot:  sta     e_depth,x
        dex
        bpl     @slot
        ldx     #4
@type:  sta     type_live,x
        dex
        bpl     @type
        ldx     #7
@burst: sta     x_depth,x
        dex
        bpl     @burst
        sta     explosions
        sta     in_tube
        sta     on_rim
        rts

; Draws a lane and a height for each of the `pending` nymphs. Clobbers A, X, Y.
nymphs_fill:
        ldx     #63
        lda     #0
        sta     band_mask
        sta     band_mask_old
@clear: sta     nymph_height,x
        sta     nymph_lane,x
        dex
        bpl     @clear
        ldx     pending
        stx     nymph_top
        beq     @out
@draw:  dex
        lda     RANDOM_1
        lsr
        eor     RANDOM_2
        and     #15
        sta     nymph_lane,x
        sta     temp
        txa
        asl
        asl
        asl
        asl
        ora     temp
        bne     @height
        lda     #$0F
@height:
        sta     nymph_height,x
        cpx     #0
        bne     @draw
@out:   rts

; One look at every nymph; at most one birth fails and ends it. Clobbers all.
spawn:
        lda     zap_clock
        bne     @out
        lda     pending
        beq     @out
        lda     in_tube
        clc
        adc     on_rim
        cmp     #SLOTS
        bcs     @out
        lda     band_mask
        sta     band_mask_old
        lda     #0
        sta     band_mask
        lda     frame
        lsr
        ror
        sta     temp            ; b7: they circle this time
        ldx     nymph_top
@next:  dex
        bmi     @out
        lda     nymph_height,x
        beq     @next
        cmp     #CIRCLE+1
        bcc     @low
        dec     nymph_height,x
        bit     temp
        bpl     @next
@circle:
        ldy     nymph_lane,x
        lda     lane_after,y
        sta     nymph_lane,x
        bpl     @next           ; always
@out:   rts
@low:   sbc     #0              ; carry is clear: one less
        ldy     nymph_lane,x
        cmp     #CIRCLE-1
        bne     @held
        lda     fold_bit,y
        and     band_mask
        bne     @circle         ; its lane is taken: once more round
        lda     #CIRCLE-1
        bne     @band
@held:  cmp     #BAND
        bcc     @near
@band:  sta     nymph_height,x
        lda     fold_bit,y
        ora     band_mask
        sta     band_mask
        bne     @next
@near:  cmp     #0
        beq     @born
        sta     nymph_height,x
        bne     @next
@born:  sty     born_lane
        stx     tmp_x
        jsr     choose_type
        ldx     tmp_x
        bcc     @out            ; none can be made: it stays at 1
        lda     #0
        sta     nymph_height,x
        dec     pending
        lda     #FAR
        sta     born_depth
        lda     born_lane
        ldy     open_tube
        beq     @make
        cmp     #15
        bcc     @make
        lda     RANDOM_2
        and     #14
        sta     born_lane
@make:  jsr     make_enemy
        ldx     tmp_x
        lda     in_tube
        clc
        adc     on_rim
        cmp     #SLOTS
        bcs     @done
        lda     frame           ; births use temp
        lsr
        ror
        sta     temp
        jmp     @next
@done:  rts
