; The player: turning, firing, and the pilot of the attract demo (ARCADE B.6-B.8).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export move_player, fire_player
.import sound_play, born_shot_hits

TURN_MOST       = 31
DEMO_TURN       = 9

.segment "CODE"

; Takes the spinner (or the demo's wish) and turns the player. Clobbers A, X, Y.
move_player:
        lda     edge
        bmi     @out
        bit     mode
        bmi     @real
        jsr     demo_turn
        jmp     @turn
@real:  lda     spinner
        ldx     #0
        stx     spinner
        cmp     #$80
        bcs     @back
        cmp     #TURN_MOST
        bcc     @turn
        lda     #TURN_MOST
        bne     @turn
@back:  cmp     #<-TURN_MOST
        bcs     @turn
        lda     #<-TURN_MOST
@turn:  sta     temp
        lda     knob_angle
        sec
        sbc     temp
        ldx     open_tube
        beq     @set            ; closed: wraps
        bcs     @no_borrow
        bit     temp
        bmi     @most           ; upwards, no wrap
        lda     #0              ; below lane 0
        beq     @set
@no_borrow:
        bit     temp
        bpl     @most           ; downwards or not at all, no wrap
        lda     #$EF            ; past 255
@most:  cmp     #$F0
        bcc     @set
        lda     #$EF
@set:   sta     knob_angle
        lsr
        lsr
        lsr
        lsr
        cmp     lane
        sta     lane
        php
        clc
        adc     #1
        and     #15
        sta     edge
        plp
        bne     @step
@out:   rts
@step:  lda     #SND_MOVE
        jmp     sound_play

; Fires a shot if the button is down and one is left. Clobbers all.
fire_player:
        lda     edge
        bmi     @out
        bit     mode
        bpl     @demo
        lda     held
        and     #BUTTON_FIRE
        bne     @fire
@out:   rts
@demo:  jsr     demo_fires
        bcc     @out
@fire:  lda     depth
        cmp     #FAR
        bcs     @out
        ldx     #7
@find:  ldy     shot_depth,x
        beq     @free
        dex
        bpl     @find
        rts
@free:  sta     shot_depth,x
        lda     lane
        sta     shot_lane,x
        lda     edge
        sta     shot_edge,x
        lda     #0
        sta     shot_spent,x
        inc     shots_player
        lda     #SND_FIRE
        jsr     sound_play
        jmp     born_shot_hits

; The demo turns towards the enemy nearest the rim. Returns the turn in A.
demo_turn:
        lda     #$FF
        sta     temp
        ldy     #$FF
        ldx     #SLOTS-1
@look:  lda     e_depth,x
        beq     @next
        cmp     temp
        bcs     @next
        sta     temp
        ldy     e_lane,x
@next:  dex
        bpl     @look
        cpy     #0
        bmi     @stay
        tya
        sec
        sbc     lane
        beq     @stay
        ldx     open_tube
        bne     @line
        and     #15
        cmp     #8
        bcc     @up
        bcs     @down
@line:  bcs     @up
@down:  lda     #DEMO_TURN
        rts
@up:    lda     #<-DEMO_TURN
        rts
@stay:  lda     #0
        rts

; Carry set if the demo would fire: something within one lane, or descending.
demo_fires:
        bit     descending
        bmi     @yes
        ldx     #SLOTS-1
@enemy: lda     e_depth,x
        beq     @next
        lda     e_lane,x
        jsr     @near
        bcs     @yes
@next:  dex
        bpl     @enemy
        ldx     #3
@shot:  lda     e_shot_depth,x
        beq     @skip
        lda     e_shot_lane,x
        jsr     @near
        bcs     @yes
@skip:  dex
        bpl     @shot
        clc
        rts
@yes:   sec
        rts
@near:  sec                     ; carry set if lane A is within one of the player's, without wrap
        sbc     lane
        clc
        adc     #1
        cmp     #3
        bcc     @in
        clc
        rts
@in:    sec
        rts
