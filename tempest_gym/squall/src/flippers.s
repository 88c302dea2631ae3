; Behaviours of flippers: the six ways up the tube and rim hunting (ARCADE C.3, C.4). X is the slot, kept by all.

.include "hardware.inc"
.include "ram.inc"

.export go_eight, go_flipping, go_zigzag, go_rim, go_rider, go_away, climb, to_rim
.import advance, flip_begin, flip_step, aim, aim_away, grab

EIGHT_MOVES     = 8
AWAY_MOVES      = 4
RIM_SITS        = 4

.segment "CODE"

; Advances, and joins the hunters on arriving at the rim. Clobbers A, Y.
climb:
        jsr     advance
        lda     depth
        cmp     e_depth,x
        bcc     @out            ; still below
        ldy     e_type,x
        bpl     to_rim
        adc     #0              ; carry is set: one unit short of the rim until the flip ends
        sta     e_depth,x
        lda     #0
        sta     e_fraction,x
@out:   rts

; Enemy X is on the rim from now on. It moves away from the one already there, else towards the player.
to_rim:
        lda     depth
        sta     e_depth,x
        lda     #0
        sta     e_fraction,x
        lda     e_flags,x
        and     #$7F
        sta     e_flags,x
        lda     on_rim
        cmp     #1
        beq     @opposite
        jsr     aim
        jmp     @join
@opposite:
        ldy     #SLOTS-1
@find:  lda     e_depth,y
        beq     @next
        lda     e_program,y
        cmp     #GO_RIM
        beq     @found
@next:  dey
        bpl     @find
        jsr     aim
        jmp     @join
@found: lda     e_type,y
        and     #$40
        eor     #$40
        sta     temp
        lda     e_type,x
        and     #$BF
        ora     temp
        sta     e_type,x
@join:  dec     in_tube
        inc     on_rim
        lda     #GO_RIM
        sta     e_program,x
        lda     #RIM_SITS
        sta     e_loop,x

; On the rim: four frames of sitting and grabbing, then a fast flip.
go_rim:
        lda     e_type,x
        bmi     @turning
        lda     e_loop,x
        beq     @flip
        dec     e_loop,x
        lda     e_lane,x
        cmp     lane
        bne     @out
        lda     e_edge,x
        cmp     edge
        bne     @out
        jmp     grab
@flip:  ldy     rim_steps
        dey
        sty     steps_left
        jsr     flip_begin
        bcs     @sit
        lda     steps_left
        beq     @out
        bne     @step
@turning:
        lda     rim_steps
        sta     steps_left
@step:  jsr     flip_step
        bcs     @sit
        dec     steps_left
        bne     @step
@out:   rts
@sit:   lda     #RIM_SITS
        sta     e_loop,x
        rts

; Eight moves, one flip on the spot.
go_eight:
        lda     e_type,x
        bmi     @turning
        lda     e_loop,x
        beq     @flip
        dec     e_loop,x
        jmp     climb
@flip:  jsr     flip_begin
        bcs     @again
        rts
@turning:
        jsr     flip_step
        bcc     @out
@again: lda     #EIGHT_MOVES
        sta     e_loop,x
@out:   rts

; Flips all the time and climbs meanwhile.
go_flipping:
        lda     e_type,x
        bmi     @turning
        jsr     flip_begin
        jmp     climb
@turning:
        jsr     flip_step
        jmp     climb

; Two flips one way, three the other, and so on; e_turn counts them, e_stage holds the way.
go_zigzag:
        lda     e_type,x
        bmi     @turning
        jsr     flip_begin
        bcs     @count
        rts
@turning:
        jsr     flip_step
        bcc     @climb
        jsr     @count
@climb: jmp     climb
@count: dec     e_turn,x
        bpl     @out
        lda     e_stage,x       ; 1 and 2 more flips follow the first of a run
        eor     #3
        sta     e_stage,x
        sta     e_turn,x
        lda     e_type,x
        eor     #$40
        sta     e_type,x
@out:   rts

; Straight up inside a spike; one flip where the lane has none at this depth.
go_rider:
        lda     e_type,x
        bmi     @turning
        ldy     e_lane,x
        lda     spike,y
        beq     @flip
        cmp     e_depth,x
        bcs     @flip
        jmp     climb
@flip:  jsr     flip_begin
        jmp     climb
@turning:
        jmp     flip_step

; A flip away from the player, four moves; climbs all the time.
go_away:
        lda     e_type,x
        bmi     @turning
        lda     e_loop,x
        beq     @flip
        dec     e_loop,x
        jmp     climb
@flip:  jsr     aim_away
        jsr     flip_begin
        jmp     @after
@turning:
        jsr     flip_step
@after: bcc     @climb
        lda     #AWAY_MOVES
        sta     e_loop,x
@climb: jmp     climb
