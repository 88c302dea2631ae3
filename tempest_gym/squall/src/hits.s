; Player shots against enemies and enemy shots, and what becomes of an enemy that is hit (ARCADE C.4-C.7, D).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export hit_tests, hits_of_shot, kill_enemy, remove_enemy, explode, step_explosions
.import sound_play, score_add, drop_shot, drop_enemy_shot, split_tanker

.segment "RODATA"

points_low:     .byte $50, $00, $00, $50, $50   ; flipper, pulsar, tanker, spiker, fuseball
points_mid:     .byte $01, $02, $01, $00, $02
ball_low:       .byte $50, $00, $50
ball_mid:       .byte $02, $05, $07

.segment "CODE"

; Every player shot against every enemy and enemy shot. Lanes with anybody in them are stamped with the frame number
; first, with the highest slot among them, so that most shots need no closer look. Clobbers all.
hit_tests:
        lda     shots_player
        beq     @out
        ldx     #SLOTS-1
@enemy: lda     e_depth,x
        beq     @next
        ldy     e_lane,x
        lda     lane_stamp,y
        cmp     frame
        beq     @seen
        lda     frame
        sta     lane_stamp,y
        txa
        sta     lane_slot,y
@seen:  lda     e_type,x
        bpl     @next
        dey                     ; between lanes: the lower one, too
        bpl     @lower
        ldy     #15
@lower: lda     lane_stamp,y
        cmp     frame
        beq     @next
        lda     frame
        sta     lane_stamp,y
        txa
        sta     lane_slot,y
@next:  dex
        bpl     @enemy
        ldx     shots_enemy
        beq     @shots
        ldx     #3
@flying:
        lda     e_shot_depth,x
        beq     @skip
        ldy     e_shot_lane,x
        lda     frame
        sta     lane_stamp,y
        lda     #$80            ; look at everything
        sta     lane_slot,y
@skip:  dex
        bpl     @flying
@shots: ldx     #7
@shot:  lda     shot_depth,x
        beq     @clear
        ldy     shot_lane,x
        lda     lane_stamp,y
        cmp     frame
        bne     @clear
        lda     lane_slot,y
        tay
        jsr     hits_from_slot
@clear: dex
        bpl     @shot
@out:   rts

; Player shot X against all enemies and enemy shots; it is used up by the first that it meets. Keeps X. Clobbers A, Y
; and tmp_shot.
hits_of_shot:
        ldy     #$80

; The same against enemies from slot Y down only, unless b7 of Y is set.
hits_from_slot:
        tya
        bpl     @enemy
        lda     shots_enemy
        beq     @enemies
        ldy     #3
@flying:
        lda     e_shot_depth,y
        beq     @pass
        sec
        sbc     shot_depth,x
        bcs     @beyond
        eor     #$FF
        adc     #1
@beyond:
        cmp     reach_shot
        beq     @close
        bcs     @pass
@close: lda     e_shot_lane,y
        cmp     shot_lane,x
        beq     @cancel
@pass:  dey
        bpl     @flying
@enemies:
        ldy     #SLOTS-1
@enemy: lda     e_depth,y
        bne     @there
@miss:  dey
        bpl     @enemy
        rts
@there: lda     e_lane,y
        cmp     shot_lane,x
        beq     @same_lane
        cmp     shot_edge,x     ; between lanes it is also in the lower one
        bne     @miss
        lda     e_type,y
        bpl     @miss
        and     #7
        cmp     #FUSEBALL
        beq     @miss
        bne     @lane_ok
@same_lane:
        lda     e_type,y
        bmi     @between
        and     #7
        cmp     #FUSEBALL
        beq     @miss           ; resting on its spoke
        lda     e_depth,y
        cmp     depth
        beq     @miss           ; lies flat on the rim
        bne     @lane_ok
@between:
        and     #7
        cmp     #FUSEBALL
        bne     @lane_ok
        lda     e_depth,y
        cmp     depth
        beq     @miss
@lane_ok:
        sec
        lda     e_depth,y
        sbc     shot_depth,x
        bcs     @above
        eor     #$FF
        adc     #1
@above: sta     dist
        sty     tmp_y
        lda     e_type,y
        and     #7
        tay
        lda     reach,y
        ldy     tmp_y
        cmp     dist
        bcc     @miss
        jsr     drop_shot
        stx     tmp_shot
        ldx     tmp_y
        jsr     kill_enemy
        ldx     tmp_shot
        rts
@cancel:
        stx     tmp_shot
        lda     e_shot_depth,y
        sta     born_depth
        lda     e_shot_lane,y
        sta     tmp_lane
        tya
        tax
        jsr     drop_enemy_shot
        ldx     tmp_shot
        jsr     drop_shot
        ldy     #EXPLODE_SHOT
        lda     tmp_lane
        jsr     explode
        lda     #SND_EXPLODE
        jmp     sound_play

; Enemy X is shot, or zapped (`zapped` nonzero: cargo is lost, a fuseball is worth 150): points, explosion, cargo.
; Clobbers all.
kill_enemy:
        lda     e_type,x
        and     #7
        tay
        lda     #EXPLODE_ENEMY
        sta     tmp_y
        cpy     #FUSEBALL
        bne     @points
        lda     zapped
        beq     @shot_ball
        ldy     #FLIPPER        ; worth the same 150
        beq     @points
@shot_ball:
        ldy     #0
        lda     RANDOM_1
        cmp     #$C0
        bcc     @which
        iny
        cmp     #$E0
        bcc     @which
        iny
@which: tya
        clc
        adc     #EXPLODE_BALL
        sta     tmp_y
        lda     ball_mid,y
        sta     temp
        lda     ball_low,y
        ldy     temp
        jmp     @score
@points:
        lda     points_mid,y
        sta     temp
        lda     points_low,y
        ldy     temp
@score: jsr     score_add
        lda     e_depth,x
        cmp     #FAR+1
        bcc     @inside
        lda     #FAR
@inside:
        sta     born_depth
        lda     e_lane,x
        ldy     tmp_y
        jsr     explode
        lda     #SND_KILL
        jsr     sound_play
        lda     zapped
        bne     remove_enemy
        lda     e_type,x
        and     #7
        cmp     #TANKER
        bne     remove_enemy
        jmp     split_tanker

; Frees slot X and its counts. Clobbers A, Y.
remove_enemy:
        lda     e_type,x
        and     #7
        tay
        lda     type_live,y
        sec
        sbc     #1
        sta     type_live,y
        lda     e_program,x
        cmp     #GO_RIM
        beq     @rim
        dec     in_tube
        bpl     @free
@rim:   dec     on_rim
@free:  lda     #0
        sta     e_depth,x
        rts

; Starts an explosion of kind Y in lane A at born_depth, if a slot is free. Keeps X. Clobbers A, Y.
explode:
        sta     tmp_lane
        stx     tmp_x
        ldx     #7
@find:  lda     x_depth,x
        beq     @free
        dex
        bpl     @find
        bmi     @out
@free:  lda     born_depth
        sta     x_depth,x
        lda     tmp_lane
        sta     x_lane,x
        tya
        sta     x_kind,x
        lda     #0
        sta     x_age,x
        inc     explosions
@out:   ldx     tmp_x
        rts

; Ages the explosions. Clobbers A, X.
step_explosions:
        lda     explosions
        beq     @out
        ldx     #7
@one:   lda     x_depth,x
        beq     @next
        inc     x_age,x
        lda     x_age,x
        cmp     #EXPLODE_FRAMES
        bcc     @next
        lda     #0
        sta     x_depth,x
        dec     explosions
@next:  dex
        bpl     @one
@out:   rts
