; Lists of a fixed form, which play only changes in place: the tube's, shots, the player's lane, dots beyond the far
; end. A word at a time is changed, so a list is sound at any moment.

.include "ram.inc"
.include "draw.inc"
.include "art.inc"

.export lists_init, draw_dots, draw_shots, draw_lane
.import project, flush, no_spike, tube_list_low, tube_list_high, spoke_blank, spoke_drawn, middle_blank, middle_drawn
.import near_scale_low, near_scale_high

DOT_DEPTH       = $F2           ; just beyond the far end
DOT             = $40E0         ; a short vector of no length

.assert >(LIST_JUMP (DOTS + 8)) = >(LIST_JUMP (DOTS + 128)), error, "dots cross a page"
.assert >CALL_SHOT = >CALL_NO_SHOT && >CALL_SHOT = >CALL_ENEMY_SHOT_0 && >CALL_SHOT = >CALL_ENEMY_SHOT_1, error, "shots differ in their high bytes"

.segment "DRAW_HIGH"

; At reset: the tube lists of both buffers, without scales; no spikes; no dots.
lists_init:
        ldx     #1
@list:  stx     t2
        lda     tube_list_low,x
        sta     dl
        lda     tube_list_high,x
        sta     dl+1
        ldy     #0
        ldx     #2
@outline:
        emit    CALL_HOME
        emit    FULL_SIZE
        emit    call SPOKE_BLANK
        emit    CALL_OUTLINE
        dex
        bne     @outline
@spoke: emit    CALL_HOME
        emit    FULL_SIZE
        emit_lane spoke_blank
        emit    FULL_SIZE
        emit_lane spoke_drawn
        inx
        cpx     #16
        bne     @spoke
        emit    RETURN
        ldx     t2
        dex
        bmi     @lists
        jmp     @list
@lists: lda     #<SPIKES
        sta     dl
        lda     #>SPIKES
        sta     dl+1
        ldx     #0
@form:  ldy     #0
        emit    CALL_HOME
        emit    FULL_SIZE
        emit_lane middle_blank
        emit    FULL_SIZE
        emit_lane middle_drawn
        jsr     flush
        inx
        cpx     #16
        bne     @form
        dex
@spike: jsr     no_spike
        dex
        bpl     @spike
        lda     #<RETURN
        sta     SPIKES+160
        lda     #>RETURN
        sta     SPIKES+161
        lda     #<DOTS
        sta     dl
        lda     #>DOTS
        sta     dl+1
        lda     #<VIEW_REST
        sta     view
        lda     #>VIEW_REST
        sta     view+1
        lda     #DOT_DEPTH
        jsr     project
        ldy     #0
        ldx     #0
@dot:   emit    CALL_HOME
        emit_word place
        emit_lane middle_blank
        emit    DOT
        inx
        cpx     #16
        bne     @dot
        emit    RETURN
        lda     #<SHOTS
        sta     dl
        lda     #>SHOTS
        sta     dl+1
        ldy     #0
        emit    STAT_COLOUR | C_SHOT
        ldx     #8
        jsr     @shots
        emit    STAT_COLOUR | C_ENEMY_SHOT
        ldx     #4
        jsr     @shots
        emit    RETURN
        lda     #<LANE
        sta     dl
        lda     #>LANE
        sta     dl+1
        ldy     #0
        emit    STAT_COLOUR | C_LANE
        ldx     #2
@lane:  emit    CALL_HOME
        emit    FULL_SIZE
        emit    call SPOKE_BLANK
        emit    FULL_SIZE
        emit    call SPOKE_DRAWN
        dex
        bne     @lane
        emit    RETURN
        rts
@shots: emit    CALL_HOME
        emit    FULL_SIZE
        emit    call MIDDLE_BLANK
        emit    CALL_NO_SHOT
        dex
        bne     @shots
        rts

.segment "DRAW"

; Calls the dots of the waiting enemies, which keep their lanes, and looks for them every fourth frame. They are only
; drawn for the eye at rest.
draw_dots:
        lda     view
        cmp     #<VIEW_REST
        bne     @none
        emit    CALL_DOTS
        lda     frame
        and     #3
        bne     @none
        sty     t0
        ldx     #15
        lda     #0
@clear: sta     dot_seen,x
        dex
        bpl     @clear
        ldy     nymph_top
        beq     @show
@look:  lda     nymph_height-1,y
        beq     @free
        cmp     #$40            ; it circles still
        bcs     @free
        lda     nymph_lane-1,y
        and     #15
        tax
        lda     #1
        sta     dot_seen,x
@free:  dey
        bne     @look
@show:  ldx     #15
        ldy     #8 * 15
@copy:  lda     dot_seen,x
        bne     @dot
        lda     #>(LIST_JUMP (DOTS + 8))
        sta     DOTS+1,y        ; none: on to the next lane
        tya
        lsr
        adc     #<(LIST_JUMP (DOTS + 8))
        sta     DOTS,y
        bne     @set
@dot:   lda     #<CALL_HOME
        sta     DOTS,y
        lda     #>CALL_HOME
        sta     DOTS+1,y
@set:
        tya
        sec
        sbc     #8
        tay
        dex
        bpl     @copy
        ldy     t0
@none:  rts

; Calls the shots of both sides. Their shapes take the scale of their place.
draw_shots:
        lda     shots_player
        ora     shots_enemy
        tax
        ora     shots_shown
        beq     @none
        stx     shots_shown
        emit    CALL_SHOTS
        lda     frame
        lsr
        lda     #<CALL_ENEMY_SHOT_0
        bcc     @turned
        lda     #<CALL_ENEMY_SHOT_1
@turned:
        sta     t2
        lda     view
        cmp     #<VIEW_REST
        bne     shots_anywhere
        lda     view+1
        cmp     #>VIEW_REST
        bne     shots_anywhere
        jmp     shots_at_rest
@none:  rts

shots_anywhere:
        sty     t3
        ldx     #11
        ldy     #SHOTS_ENEMY + 8 * 3
@next:  lda     shot_depth,x
        beq     @free
        stx     slot
        jsr     project
        bcs     @hidden
        lda     place
        sta     SHOTS+2,y
        lda     place+1
        sta     SHOTS+3,y
        ldx     slot
        lda     shot_lane,x
        and     #15
        tax
        lda     middle_blank,x
        sta     SHOTS+4,y
        ldx     slot
        lda     t2
        bne     @set
@hidden:
        ldx     slot
@free:  lda     #<CALL_NO_SHOT
@set:   sta     SHOTS+6,y
        tya
        sec
        sbc     #8
        tay
        dex
        bmi     @end
        cpx     #7
        bne     @next
        ldy     #SHOTS_OWN + 8 * 7
        lda     #<CALL_SHOT
        sta     t2
        bne     @next
@end:   ldy     t3
        rts

SHOTS_OWN       = 2
SHOTS_ENEMY     = 2 + 64 + 2

; The same for the eye at rest, which is play: by far the most frequent case, so it is written out shot by shot.
.macro shot_at_rest number, list
        lda     shot_depth + number
        beq     *+28
        tax
        lda     near_scale_low + VIEW_REST,x
        sta     SHOTS + list + 2
        lda     near_scale_high + VIEW_REST,x
        sta     SHOTS + list + 3
        ldx     shot_lane + number
        lda     middle_blank,x
        sta     SHOTS + list + 4
  .if number < 8
        lda     #<CALL_SHOT
  .else
        lda     t2
  .endif
        bne     *+4
        lda     #<CALL_NO_SHOT
        sta     SHOTS + list + 6
.endmacro

.assert <CALL_SHOT <> 0 && <CALL_ENEMY_SHOT_0 <> 0 && <CALL_ENEMY_SHOT_1 <> 0, error, "a branch that is always taken"

.segment "DRAW_HIGH"

shots_at_rest:
.repeat 8, i
        shot_at_rest i, SHOTS_OWN + 8 * i
.endrepeat
.repeat 4, i
        shot_at_rest 8 + i, SHOTS_ENEMY + 8 * i
.endrepeat
        rts

.segment "DRAW"

; Calls the two spokes of the player's lane in their own colour.
draw_lane:
        lda     edge
        bmi     @none
        ldx     lane
        cpx     #16
        bcs     @none
        lda     state
        cmp     #STATE_ZOOM
        beq     @none
        emit    CALL_LANE
        lda     spoke_blank,x
        sta     LANE+6
        lda     spoke_drawn,x
        sta     LANE+10
        inx
        cpx     #16
        bne     @next
        ldx     #0
@next:  lda     spoke_blank,x
        sta     LANE+16
        lda     spoke_drawn,x
        sta     LANE+20
        lda     lane_dirty
        beq     @none
        lda     #0
        sta     lane_dirty
        lda     far_word
        sta     LANE+4
        sta     LANE+14
        lda     far_word+1
        sta     LANE+5
        sta     LANE+15
        lda     span_word
        sta     LANE+8
        sta     LANE+18
        lda     span_word+1
        sta     LANE+9
        sta     LANE+19
@none:  rts
