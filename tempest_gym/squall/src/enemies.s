; Enemies: one step of every used slot, and the primitives that behaviours are made of: advance, retreat, flip, aim
; (ARCADE A.5, B.10, C.1, C.3). In all of them X is the slot and is kept.

.include "hardware.inc"
.include "ram.inc"

.export move_enemies, advance, retreat, flip_begin, flip_step, aim, aim_away
.import go_spiker, go_straight, go_eight, go_flipping, go_zigzag, go_rim, go_rider, go_ball, go_hop, go_pulsar, go_away
.import pulse

.segment "RODATA"

; Behaviours by $0291, entered by RTS. A table of the low and one of the high bytes, mostly holes.
.macro  behaviours byte_of
        .repeat GO_AWAY+1, i
        .if     i = GO_SPIKER
        .byte   byte_of(go_spiker-1)
        .elseif i = GO_STRAIGHT
        .byte   byte_of(go_straight-1)
        .elseif i = GO_EIGHT
        .byte   byte_of(go_eight-1)
        .elseif i = GO_FLIPPING
        .byte   byte_of(go_flipping-1)
        .elseif i = GO_ZIGZAG
        .byte   byte_of(go_zigzag-1)
        .elseif i = GO_RIM
        .byte   byte_of(go_rim-1)
        .elseif i = GO_RIDER
        .byte   byte_of(go_rider-1)
        .elseif i = GO_BALL
        .byte   byte_of(go_ball-1)
        .elseif i = GO_BALL_HOP
        .byte   byte_of(go_hop-1)
        .elseif i = GO_PULSAR
        .byte   byte_of(go_pulsar-1)
        .elseif i = GO_AWAY
        .byte   byte_of(go_away-1)
        .else
        .byte   0
        .endif
        .endrep
.endmacro
programs_low:
        behaviours .lobyte
programs_high:
        behaviours .hibyte

.segment "CODE"

; Slots 6 down to 0, then the pulse. Not called while the player is dying. Clobbers all.
move_enemies:
        ldx     #SLOTS-1
@slot:  lda     e_depth,x
        beq     @next
        jsr     @behave
@next:  dex
        bpl     @slot
        jmp     pulse
@behave:
        ldy     e_program,x
        lda     programs_high,y
        pha
        lda     programs_low,y
        pha
        rts

; Towards the rim by the speed of the type. Clobbers A, Y.
advance:
        lda     e_type,x
        and     #7
        tay
        clc
        lda     e_fraction,x
        adc     type_speed_low,y
        sta     e_fraction,x
        lda     e_depth,x
        adc     type_speed_high,y
        sta     e_depth,x
        rts

; Away from the rim by the speed of the type. Clobbers A, Y.
retreat:
        lda     e_type,x
        and     #7
        tay
        sec
        lda     e_fraction,x
        sbc     type_speed_low,y
        sta     e_fraction,x
        lda     e_depth,x
        sbc     type_speed_high,y
        sta     e_depth,x
        rts

; Starts a flip in the direction of b6 of the type (turned round at the ends of an open tube) and makes its first step.
; Carry as from flip_step. Clobbers A, Y.
flip_begin:
        lda     e_type,x
        ora     #$80
        ldy     open_tube
        beq     @turned
        ldy     e_lane,x
        bne     @not_first
        ora     #$40
        bne     @turned
@not_first:
        cpy     #14
        bcc     @turned
        and     #$BF
@turned:
        sta     e_type,x
        ldy     e_lane,x
        and     #$40
        beq     @down
        lda     angle,y
        eor     #8              ; the same as +8 in 16 directions
        ora     #$80
        sta     e_edge,x
        iny
        tya
        and     #15
        sta     e_lane,x
        jmp     flip_step
@down:  lda     angle,y
        ora     #$80
        sta     e_edge,x

; One angle step of a flip. Carry set when the flip is over. Clobbers A, Y.
flip_step:
        ldy     e_lane,x
        lda     e_type,x
        and     #$40
        beq     @down
        lda     e_edge,x
        sec
        sbc     #1
        and     #15
        cmp     angle,y
        beq     @over
@on:    ora     #$80
        sta     e_edge,x
        clc
        rts
@down:  tya
        sec
        sbc     #1
        and     #15
        tay
        lda     angle,y
        eor     #8
        sta     temp
        lda     e_edge,x
        clc
        adc     #1
        and     #15
        cmp     temp
        bne     @on
        tya
        sta     e_lane,x
@over:  ldy     e_lane,x
        iny
        tya
        and     #15
        sta     e_edge,x
        lda     e_type,x
        and     #$7F
        sta     e_type,x
        sec
        rts

; Sets b6 of the type so that the next flip goes towards the player (aim) or away from it. Clobbers A, Y.
aim:
        jsr     higher
        lda     e_type,x
        and     #$BF
        bcc     @store
        ora     #$40
@store: sta     e_type,x
        rts

aim_away:
        jsr     higher
        lda     e_type,x
        and     #$BF
        bcs     @store
        ora     #$40
@store: sta     e_type,x
        rts

; Carry set if the player is up the lanes from enemy X (the shorter way on a closed tube). Clobbers A.
higher:
        lda     lane
        sec
        sbc     e_lane,x
        ldy     open_tube
        bne     @done           ; carry: no borrow
        and     #15
        cmp     #8              ; 0-7 up, 8-15 down
        bcc     @up
        clc
        rts
@up:    sec
@done:  rts
