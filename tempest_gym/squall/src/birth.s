; Births: the choice of a type, the making of an enemy, tankers' children (ARCADE C.5, C.6).

.include "hardware.inc"
.include "ram.inc"

.export choose_type, make_enemy, split_tanker
.import remove_enemy

SHORT_SPIKE     = $CC

.segment "RODATA"

cargo_type:     .byte FLIPPER, FLIPPER, PULSAR, FUSEBALL        ; by cargo 0-3
start_program:  .byte 0, GO_PULSAR, GO_STRAIGHT, GO_SPIKER, GO_BALL

.segment "CODE"

; How many more of each type there may be: type_room. Clobbers A, X, Y.
count_room:
        ldx     #4
@type:  lda     type_max,x
        sec
        sbc     type_live,x
        bcs     @store
        lda     #0
@store: sta     type_room,x
        dex
        bpl     @type
        lda     type_live+TANKER
        beq     @clamp
        ldx     #SLOTS-1
@slot:  lda     e_depth,x
        beq     @next
        lda     e_type,x
        and     #7
        cmp     #TANKER
        bne     @next
        lda     e_flags,x
        and     #3
        beq     @next
        tay
        lda     cargo_type,y
        tay
        lda     type_room,y
        sec
        sbc     #2
        bcs     @less
        lda     #0
@less:  sta     type_room,y
@next:  dex
        bpl     @slot
@clamp: lda     #SLOTS
        sec
        sbc     in_tube
        sec
        sbc     on_rim
        ldx     #4
@free:  cmp     type_room,x
        bcs     @fits
        sta     type_room,x
@fits:  dex
        bpl     @free
        rts

; Chooses what is born in born_lane: born_type, born_cargo; carry clear if nothing can be. Clobbers A, X, Y.
choose_type:
        jsr     count_room
        ldy     #0
        ldx     #4
@count: lda     type_room,x
        beq     @none
        iny
        stx     born_type
@none:  dex
        bpl     @count
        dey
        bmi     @no
        bne     @several
        ldx     born_type       ; a single type, if it may be born
        lda     type_min,x
        beq     @no
        bne     @chosen
@several:
        ldx     #4
@below: lda     type_room,x
        beq     @next
        lda     type_live,x
        cmp     type_min,x
        bcc     @chosen
@next:  dex
        bpl     @below
        lda     type_room+SPIKER
        beq     @random
        lda     type_room+TANKER
        beq     @random
        ldy     born_lane
        ldx     #SPIKER
        lda     spike,y
        beq     @chosen
        cmp     #SHORT_SPIKE
        bcs     @chosen
        ldx     #TANKER
        bne     @chosen
@random:
        lda     RANDOM_1
        and     #7
        tax
        cpx     #5
        bcc     @from
        sbc     #5
        tax
@from:  ldy     #4
@try:   lda     type_room,x
        beq     @other
        lda     type_min,x
        bne     @chosen
@other: dex
        bpl     @again
        ldx     #4
@again: dey
        bpl     @try
@no:    clc
        rts
@chosen:
        stx     born_type
        lda     #0
        sta     born_cargo
        cpx     #TANKER
        bne     @yes
        lda     RANDOM_2        ; cargo from the list, starting at random; there must be room for it
        and     #3
        tax
        ldy     #3
        sty     temp
@cargo: ldy     cargo_list,x
        sty     born_cargo
        lda     cargo_type,y
        tay
        lda     type_room,y
        bne     @yes
        inx
        txa
        and     #3
        tax
        dec     temp
        bpl     @cargo
        bmi     @no
@yes:   sec
        rts

; Makes an enemy of born_type with born_cargo in born_lane at born_depth. Carry clear if no slot is free, else its slot
; in X. Clobbers A, Y.
make_enemy:
        ldx     #SLOTS-1
@find:  lda     e_depth,x
        beq     @free
        dex
        bpl     @find
        clc
        rts
@free:  lda     born_depth
        sta     e_depth,x
        lda     born_lane
        sta     e_lane,x
        clc
        adc     #1
        and     #15
        sta     e_edge,x
        lda     #0              ; e_wait continues from the slot's last enemy
        sta     e_loop,x
        lda     #1
        sta     e_turn,x
        sta     e_stage,x
        ldy     born_type
        lda     type_live,y
        clc
        adc     #1
        sta     type_live,y
        inc     in_tube
        lda     RANDOM_1        ; either direction
        and     #$40
        ora     born_type
        sta     e_type,x
        lda     start_program,y
        sta     e_program,x
        lda     #$40
        cpy     #FUSEBALL
        beq     @ball
        cpy     #PULSAR
        beq     @pulsar
        cpy     #FLIPPER
        bne     @flags
        lda     flip_program
        sta     e_program,x
        lda     #8              ; moves before the first flip, where the habit counts them
        sta     e_loop,x
        lda     #$40
@flags: ora     born_cargo
        sta     e_flags,x
        sec
        rts
@ball:  lda     #$20
        sta     e_edge,x
        lda     #FUSEBALL
        sta     e_type,x
        lda     #0
        beq     @flags
@pulsar:
        lda     pulsar_wait
        sta     e_loop,x
        lda     pulsar_shoots
        jmp     @flags

NEAR            = $20

; Tanker X opens: it vanishes, and two of its cargo appear in the lanes beside it. Keeps X. Clobbers A, Y.
split_tanker:
        stx     tmp_x
        lda     e_flags,x
        and     #3
        sta     born_cargo
        lda     e_depth,x
        sta     born_depth
        lda     e_lane,x
        sta     tmp_lane
        jsr     remove_enemy
        ldy     born_cargo
        beq     @out
        lda     #0
        sta     born_cargo
        lda     cargo_type,y
        sta     born_type
        lda     tmp_lane
        ldy     open_tube
        beq     @below
        cmp     #0
        beq     @first
@below: sec
        sbc     #1
        and     #15
@first: sta     born_lane
        lda     #0
        jsr     child
        lda     tmp_lane
        clc
        adc     #1
        and     #15
        ldy     open_tube
        beq     @second
        cmp     #15
        bcc     @second
        lda     #14
@second:
        sta     born_lane
        lda     #$40
        jsr     child
@out:   ldx     tmp_x
        rts

; A child with direction bit A, if a slot is left.
child:  pha
        jsr     make_enemy
        pla
        bcc     @out
        sta     temp
        lda     e_type,x
        and     #$BF
        ora     temp
        sta     e_type,x
        lda     born_type
        bne     @out
        lda     born_depth
        cmp     #NEAR
        bcs     @out
        lda     #GO_STRAIGHT    ; no room left for habits
        sta     e_program,x
@out:   rts
