; What moves in the tube: the player, enemies, shots, pending enemies, explosions, stars.

.include "ram.inc"
.include "draw.inc"
.include "art.inc"

.export draw_play, draw_stars
.import flush, project, emit_place, emit_size, draw_tube, draw_spikes, draw_dots, draw_shots, draw_lane, draw_status
.import middle_blank, middle_drawn, spoke_blank, spoke_drawn
.import near_scale_low, near_scale_high, put_run
.import claw_left_low, claw_left_high, claw_middle_low, claw_middle_high, claw_right_low, claw_right_high
.import flipper_low, flipper_high, pulsar_off_low, pulsar_off_high, pulsar_on_low, pulsar_on_high

star_depth      = $03FE         ; 8

.segment "DRAW"

draw_play:
        lda     #C_TUBE
        ldx     zap_clock       ; the superzapper lights the tube up
        beq     @tube
        cpx     #$20
        bcs     @tube
        txa
        and     #3
        tax
        lda     zap_colours,x
@tube:  sta     hue
        emit_hue
        jsr     draw_tube
        jsr     draw_lane
        lda     state
        cmp     #STATE_ZOOM
        bne     @spikes
        lda     view+1          ; too far away for spikes
        bmi     @spikes
        bne     @stars
@spikes:
        lda     #C_SPIKER
        sta     hue
        emit_hue
        jsr     draw_spikes
@stars:
        lda     stars
        beq     @inside
        jsr     draw_stars
@inside:
        lda     pending
        beq     @enemies
        lda     #C_FLIPPER
        sta     hue
        emit_hue
        jsr     draw_dots
@enemies:
        jsr     draw_enemies
        jsr     draw_shots
        lda     explosions
        beq     @player
        jsr     draw_explosions
@player:
        jsr     draw_player
        jmp     draw_status

zap_colours:
        .byte   WHITE, YELLOW, RED, CYAN

; The player's ray, leaning as it crosses its lane.
draw_player:
        lda     edge
        bpl     @there
        cmp     #$81
        bne     @there
        jmp     killed
@there: lda     depth
        cmp     #FAR
        bcs     @gone
        ldx     lane
        cpx     #16
        bcs     @gone
        stx     at_lane
        jsr     project
        bcs     @gone
        jsr     emit_place
        ldx     at_lane
        emit_lane spoke_blank
        lda     size
        sec
        sbc     lane_shrink,x
        jsr     emit_size
        lda     #C_PLAYER
        sta     hue
        emit_hue
        ldx     at_lane
        lda     angle,x
        tax
        lda     knob_angle
        and     #15
        cmp     #5
        bcc     @right
        cmp     #11
        bcs     @left
        lda     claw_middle_low,x
        sta     (dl),y
        iny
        lda     claw_middle_high,x
        jmp     @last
@left:  lda     claw_left_low,x
        sta     (dl),y
        iny
        lda     claw_left_high,x
        jmp     @last
@right: lda     claw_right_low,x
        sta     (dl),y
        iny
        lda     claw_right_high,x
@last:  sta     (dl),y
        iny
@gone:  rts

; The player's death: three bursts, one in the other.
killed: lda     death_age
        cmp     #20
        bcs     @gone
        lda     #RIM
        cmp     depth
        bcs     @at
        lda     depth
@at:    jsr     project
        bcs     @gone
        lda     #0
        sta     slot
@ring:  room
        jsr     emit_place
        ldx     lane
        cpx     #16
        bcs     @gone
        emit_lane middle_blank
        ldx     slot
        lda     death_age
        asl
        asl
        asl
        clc
        adc     death_start,x
        bcc     @small
        lda     #$FF
@small: jsr     emit_size
        ldx     slot
        lda     death_colours,x
        sta     hue
        emit_hue
        emit    CALL_BURST
        inc     slot
        lda     slot
        cmp     #3
        bne     @ring
@gone:  rts

death_start:
        .byte   $A8, $90, $78
death_colours:
        .byte   WHITE, YELLOW, RED

; Enemies, slot 6 to 0.
draw_enemies:
        ldx     #SLOTS-1
@next:  lda     e_depth,x
        beq     @free
        stx     slot
        jsr     draw_enemy
        ldx     slot
@free:  dex
        bpl     @next
        rts

draw_enemy:
        jsr     project
        bcs     @hidden
        room
        ldx     slot
        lda     e_lane,x
        and     #15
        sta     at_lane
        lda     e_type,x
        and     #7
        cmp     #TANKER
        bcc     flat
        bne     @other
        jmp     tanker
@other: cmp     #FUSEBALL
        bcs     @ball
        jmp     spiker
@ball:  jmp     fuseball
@hidden:
        rts

; Flippers and pulsars lie in their lane or turn about its first spoke.
flat:   pha
        jsr     emit_place
        ldx     at_lane
        emit_lane spoke_blank
        lda     size
        sec
        sbc     lane_shrink,x
        bcs     @sized
        lda     #0
@sized: jsr     emit_size
        ldx     slot
        lda     e_edge,x
        bmi     @turning
        ldx     at_lane
        lda     angle,x
@turning:
        and     #15
        tax
        pla
        bne     @pulsar
        lda     #C_FLIPPER
        sta     hue
        emit_hue
        lda     flipper_low,x
        sta     (dl),y
        iny
        lda     flipper_high,x
        sta     (dl),y
        iny
        rts
@pulsar:
        lda     pulse_phase
        bmi     @quiet
        lda     #WHITE
        sta     hue
        emit_hue
        lda     pulsar_on_low,x
        sta     (dl),y
        iny
        lda     pulsar_on_high,x
        sta     (dl),y
        iny
        rts
@quiet: lda     #C_PULSAR
        sta     hue
        emit_hue
        lda     pulsar_off_low,x
        sta     (dl),y
        iny
        lda     pulsar_off_high,x
        sta     (dl),y
        iny
        rts

tanker: lda     #C_TANKER
        jsr     in_middle
        emit    CALL_TANKER
        ldx     slot
        lda     e_flags,x
        and     #3
        beq     @empty
        tax
        lda     mark_low-1,x
        sta     (dl),y
        iny
        lda     mark_high-1,x
        sta     (dl),y
        iny
@empty: rts

mark_low:
        .byte   <CALL_MARK_1, <CALL_MARK_2, <CALL_MARK_3
mark_high:
        .byte   >CALL_MARK_1, >CALL_MARK_2, >CALL_MARK_3

spiker: lda     #C_SPIKER
        jsr     in_middle
        lda     frame
        and     #2
        beq     @other
        emit    CALL_SPIKER_0
        rts
@other: emit    CALL_SPIKER_1
        rts

; The beam in the middle of at_lane, scaled to the lane, colour A.
in_middle:
        sta     hue
        jsr     emit_place
        ldx     at_lane
        emit_lane middle_blank
        lda     size
        sec
        sbc     lane_shrink,x
        bcs     @sized
        lda     #0
@sized: jsr     emit_size
        emit_hue
        rts

; A fuseball sits on the first spoke of its lane, or an eighth more for each phase of its hop: its place is the sum
; of shares of both spokes.
fuseball:
        emit    CALL_HOME
        ldx     slot
        lda     e_edge,x
        bmi     @hopping
        lda     #0
@hopping:
        and     #7
        sta     t2
        eor     #$FF
        sec
        adc     #8
        ldx     at_lane
        jsr     share
        lda     at_lane
        clc
        adc     #1
        and     #15
        tax
        lda     t2
        jsr     share
        lda     size
        ldx     at_lane
        sec
        sbc     lane_shrink,x
        bcs     @sized
        lda     #0
@sized: jsr     emit_size
        lda     frame
        and     #2
        beq     @other
        emit    CALL_FUSEBALL_0
        rts
@other: emit    CALL_FUSEBALL_1
        rts

; Moves the beam by A eighths (0-8) along spoke X.
share:  sta     t3
        lda     place+1
        sta     t1
        lda     #8
        sta     t0
@bit:   lda     t3
        and     t0
        beq     @skip
        lda     t1
        cmp     #$78            ; too far away to matter
        bcs     @skip
        lda     place
        sta     (dl),y
        iny
        lda     t1
        sta     (dl),y
        iny
        emit_lane spoke_blank
@skip:  inc     t1
        lsr     t0
        bne     @bit
        rts

; Bursts; the points of a fuseball are written by draw_status.
draw_explosions:
        ldx     #7
@next:  lda     x_depth,x
        beq     @free
        stx     slot
        jsr     project
        bcs     @hidden
        room
        jsr     emit_place
        ldx     slot
        lda     x_lane,x
        and     #15
        tax
        emit_lane middle_blank
        lda     size
        sec
        sbc     lane_shrink,x
        bcs     @sized
        lda     #0
@sized: sta     t0
        ldx     slot
        lda     x_kind,x
        cmp     #EXPLODE_BALL
        bcs     @points
        tax
        lda     burst_shrink,x
        sta     t1
        ldx     slot
        lda     x_age,x
        asl
        asl
        clc
        adc     t0
        bcc     @grown
        lda     #$FF
@grown: sec
        sbc     t1
        bcs     @shown
        lda     #0
@shown: jsr     emit_size
        ldx     slot
        lda     x_age,x
        and     #3
        tax
        lda     burst_colours,x
        sta     hue
        emit_hue
        emit    CALL_BURST
@hidden:
        ldx     slot
@free:  dex
        bmi     @last
        jmp     @next
@last:  rts
@points:                        ; of a fuseball
        sbc     #EXPLODE_BALL
        tax
        lda     points_text,x
        pha
        emit    HALF_SIZE
        emit    STAT_COLOUR | WHITE
        pla
        tax
        lda     #3
        jsr     put_run
        jmp     @hidden

points_text:                    ; places of 250, 500, 750 in run_text
        .byte   0, 3, 6
burst_shrink:                   ; by kind: a small one where two shots meet
        .byte   20, 60, 20
burst_colours:
        .byte   WHITE, C_BURST, YELLOW, C_BURST

; Rings of stars that rush past on the way to the next tube.
draw_stars:
        ldx     #7
@next:  lda     star_depth,x
        beq     @free
        stx     slot
        tax                     ; the rings keep their distance from the eye, wherever it is
        lda     near_scale_low,x
        sta     place
        lda     near_scale_high,x
        sta     place+1
        room
        jsr     emit_place
        lda     slot
        and     #3
        tax
        lda     star_colours,x
        sta     hue
        emit_hue
        lda     slot
        lsr
        bcc     @other
        emit    CALL_STARS_0
        jmp     @done
@other: emit    CALL_STARS_1
@done:  ldx     slot
@free:  dex
        bpl     @next
        rts

star_colours:
        .byte   WHITE, BLUE, CYAN, RED
