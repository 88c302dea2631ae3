; Shots of both sides: flight, spike bites, enemy fire (ARCADE B.8, C.7, C.9).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export move_shots, fire_enemies, born_shot_hits, clear_shots, drop_shot, drop_enemy_shot
.import sound_play, score_one, die, hits_of_shot

SHOT_SPEED      = 9
SHOT_SPEED_SPENT = 5
FIRE_DEPTH      = $30           ; enemies nearer than this do not shoot

.segment "RODATA"
fire_odds:      .byte 0, $E0, $F0, $FA, $FF     ; a random byte must reach this, by shots in flight

.segment "CODE"

; All shots off. Clobbers A, X.
clear_shots:
        lda     #0
        ldx     #11
@clear: sta     shot_depth,x
        dex
        bpl     @clear
        sta     shots_player
        sta     shots_enemy
        rts

; A shot just born in slot X is tested where it is. Clobbers all.
born_shot_hits:
        jsr     bite_spike
        lda     state
        cmp     #STATE_PLAY
        bne     @out
        lda     shot_depth,x
        beq     @out
        jmp     hits_of_shot
@out:   rts

; Moves slots 11 down to 0: four enemy shots, then eight of the player. Clobbers all.
move_shots:
        lda     shots_enemy
        beq     @players
        ldx     #3
@enemy: lda     e_shot_depth,x
        beq     @next
        lda     e_shot_fraction,x
        clc
        adc     shot_speed_low
        sta     e_shot_fraction,x
        lda     e_shot_depth,x
        adc     shot_speed_high
        sta     e_shot_depth,x
        cmp     depth
        beq     @arrive
        bcs     @next
@arrive:
        jsr     drop_enemy_shot
        lda     e_shot_lane,x
        cmp     lane
        bne     @next
        lda     e_shot_edge,x
        cmp     edge
        bne     @next
        lda     #DIED_BY_SHOT
        jsr     die
@next:  dex
        bpl     @enemy
@players:
        lda     shots_player
        beq     @out
        ldx     #7
@shot:  lda     shot_depth,x
        beq     @skip
        ldy     shot_spent,x
        bne     @slow
        clc
        adc     #SHOT_SPEED
        bne     @moved
@slow:  clc
        adc     #SHOT_SPEED_SPENT
@moved: sta     shot_depth,x
        ldy     shot_lane,x
        lda     spike,y
        beq     @flies
        jsr     bite_spike
        lda     shot_depth,x
        beq     @skip           ; used up
@flies: lda     shot_depth,x
        cmp     #FAR
        bcc     @skip
        jsr     drop_shot
@skip:  dex
        bpl     @shot
@out:   rts

; Shot X bites the spike of its lane if it is at or past the tip. Keeps X. Clobbers A, Y.
bite_spike:
        ldy     shot_lane,x
        lda     spike,y
        beq     @out
        lda     shot_depth,x
        cmp     spike,y
        bcc     @out
        cmp     #FAR
        bcc     @cut
        lda     #0              ; nothing is left of it
@cut:   sta     spike,y
        lda     #$C0
        sta     spike_redraw,y
        inc     shot_spent,x
        jsr     score_one
        lda     shot_spent,x
        cmp     #2
        bcc     @out
        lda     #$FF
        sta     shot_spent,x
        jmp     drop_shot
@out:   rts

; Removes player shot X. Clobbers A.
drop_shot:
        lda     #0
        sta     shot_depth,x
        dec     shots_player
        rts

; Removes enemy shot X. Clobbers A.
drop_enemy_shot:
        lda     #0
        sta     e_shot_depth,x
        dec     shots_enemy
        rts

; Enemies fire. Clobbers all.
fire_enemies:
        bit     edge
        bmi     @out            ; the player is dying
        ldx     #SLOTS-1
@enemy: lda     e_depth,x
        beq     @next
        lda     e_wait,x
        beq     @may
        dec     e_wait,x
        bne     @next
@may:   lda     e_type,x
        bmi     @next           ; between lanes
        lda     e_flags,x
        and     #$40
        beq     @next
        lda     e_depth,x
        cmp     #FIRE_DEPTH
        bcc     @next
        ldy     shots_enemy
        lda     RANDOM_2
        cmp     fire_odds,y
        bcc     @next
        ldy     shots_enemy_max
@find:  lda     e_shot_depth,y
        beq     @free
        dey
        bpl     @find
@next:  dex
        bpl     @enemy
@out:   rts
@free:  lda     e_depth,x
        cmp     #FAR
        bcc     @inside
        lda     #FAR            ; a spiker turning at the far end
@inside:
        sta     e_shot_depth,y
        lda     e_lane,x
        sta     e_shot_lane,y
        lda     e_edge,x
        sta     e_shot_edge,y
        inc     shots_enemy
        lda     hold_off
        sta     e_wait,x
        lda     #SND_ENEMY
        jsr     sound_play
        jmp     @next
