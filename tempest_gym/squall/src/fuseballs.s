; Fuseballs: up and down along the spokes, hopping across lanes (ARCADE C.5). X is the slot, kept by all.
; At rest lane L means spoke L; b6 of the type is 1 for a hop to a lower lane.

.include "hardware.inc"
.include "ram.inc"

.export go_ball, go_hop
.import advance, retreat, die

NEAR            = $20
TURN_DEPTH      = $80           ; going away it hops from here on
FIRST_PHASE     = 3             ; frames; the six others take one more
PHASE           = 4
RESTING         = $20
BOLD_LEVEL      = 17            ; level-1 from which it always goes up to the rim
CHASE_AT_RIM    = $80
CHASE_FAR       = $40

.segment "CODE"

go_ball:
        lda     e_flags,x
        bmi     @away
        jsr     advance
        lda     depth
        cmp     e_depth,x
        bcs     @rim
        ldy     pending
        beq     @touch          ; the last ones rise straight up
        lda     level
        cmp     #BOLD_LEVEL
        bcs     @middle
        lda     e_depth,x
        cmp     #NEAR
        bcs     @middle
        lda     #CHASE_AT_RIM
        bne     @habit
@middle:
        lda     e_depth,x
        and     #$20
        beq     @touch
        lda     RANDOM_1
        cmp     ball_threshold
        bcc     @touch
        txa
        lsr
        bcc     @random         ; only odd slots chase here
        lda     #CHASE_FAR
        bne     @habit
@touch: jmp     touch
@away:  jsr     retreat
        lda     e_depth,x
        cmp     #TURN_DEPTH
        bcc     @touch
        lda     #CHASE_FAR
@habit: and     ball_habits
        bne     @chase
@random:
        lda     RANDOM_2
        lsr
        jmp     hop
@rim:   sta     e_depth,x
        lda     #0
        sta     e_fraction,x
        lda     pending
        beq     @chase
        lda     #CHASE_AT_RIM
        bne     @habit
@chase: lda     lane            ; carry: up the lanes towards the player
        sec
        sbc     e_lane,x
        ldy     open_tube
        bne     hop
        and     #15
        cmp     #8
        bcc     @up
        clc
        bcc     hop
@up:    sec

; Starts a hop, up the lanes if carry is set.
hop:
        lda     e_type,x
        ora     #$80
        and     #$BF
        ldy     open_tube
        beq     @side
        ldy     e_lane,x
        beq     @up             ; the first spoke
        bcc     @down
        cpy     #15
        bcc     @up
        bcs     @down           ; the last spoke
@side:  bcs     @up
@down:
        ora     #$40
        sta     e_type,x
        ldy     e_lane,x
        dey
        tya
        and     #15
        sta     e_lane,x
        lda     #$87
        bne     @phase
@up:    sta     e_type,x
        lda     #$81
@phase: sta     e_edge,x
        lda     #FIRST_PHASE
        sta     e_loop,x
        lda     #GO_BALL_HOP
        sta     e_program,x

; It kills whom it meets.
touch:
        lda     e_lane,x
        cmp     lane
        bne     @out
        lda     e_depth,x
        cmp     depth
        bne     @out
        lda     #DIED_BY_BALL
        jmp     die
@out:   rts

go_hop:
        dec     e_loop,x
        bne     touch
        lda     #PHASE
        sta     e_loop,x
        ldy     e_edge,x
        lda     e_type,x
        and     #$40
        beq     @up
        dey
        dey
@up:    iny
        tya
        sta     e_edge,x
        and     #7
        bne     touch
        lda     e_type,x        ; across
        and     #$40
        bne     @there
        ldy     e_lane,x
        iny
        tya
        and     #15
        sta     e_lane,x
@there: lda     e_type,x
        and     #$7F
        sta     e_type,x
        lda     #RESTING
        sta     e_edge,x
        lda     #GO_BALL
        sta     e_program,x
        lda     e_flags,x
        eor     #$80            ; and back to where it was
        ldy     pending
        bne     @turn
        and     #$7F
@turn:  sta     e_flags,x
        jmp     touch
