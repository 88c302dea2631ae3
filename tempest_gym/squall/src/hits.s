; Player shots against enemies and enemy shots, and what becomes of an enemy that is hit (ARCADE C.4-C.7, D).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export hit_tests, hits_of_shot, kill_enemy, remove_enemy, explode, step_explosions
.import sound_play, score_add, drop_shot, drop_enemy_shot, split_tanker

REACH_MOST      = 10            ; widest tolerance

.segment "RODATA"

points_low:     .byte $50, $00, $00, $50, $50   ; flipper, pulsar, tanker, spiker, fuseball
points_mid:     .byte $01, $02, $01, $00, $02
ball_low:       .byte $50, $00, $50
ball_mid:       .byte $02, $05, $07

.segment "CODE"

; All player shots against all enemies and enemy shots. Lanes with a shot of the player are stamped with the frame number
; first, so that enemies in other lanes need no closer look. Clobbers all.
hit_tests:
        lda     shots_player
        beq     @out
        ldx     #7
@stamp: lda     shot_depth,x
        beq     @no_shot
        ldy     shot_lane,x
        lda     frame
        sta     lane_stamp,y
@no_shot:
        dex
        bpl     @stamp
        lda     shots_enemy
        beq     @enemies
        ldy     #3
@flying:
        lda     e_shot_depth,y
        beq     @pass
        ldx     e_shot_lane,y
        lda     lane_stamp,x
        cmp     frame
        bne     @pass
        ldx     #7
@meet:  jsr     cancel
        bcs     @pass
        dex
        bpl     @meet
@pass:  dey
        bpl     @flying
@enemies:
        ldy     #SLOTS-1
@enemy: lda     e_depth,y
        beq     @next
        ldx     e_lane,y
        lda     lane_stamp,x
        cmp     frame
        beq     @look
        lda     e_type,y
        bpl     @next
        dex                     ; between lanes: the lower one, too
        bpl     @lower
        ldx     #15
@lower: lda     lane_stamp,x
        cmp     frame
        bne     @next
@look:  jsr     target
        bcc     @next
        ldx     #7
@shot:  lda     shot_lane,x
        cmp     hit_lane
        beq     @try
        cmp     hit_lower
        bne     @skip
@try:   jsr     strike
        bcs     @next
@skip:  dex
        bpl     @shot
@next:  dey
        bpl     @enemy
@out:   rts

; Shot X, just born, against enemies near it. Clobbers all.
hits_of_shot:
        lda     shots_enemy
        beq     @enemies
        ldy     #3
@flying:
        lda     e_shot_depth,y
        beq     @pass
        jsr     cancel
        bcs     @out
@pass:  dey
        bpl     @flying
@enemies:
        lda     shot_depth,x
        clc
        adc     #REACH_MOST+1
        sta     hit_limit
        stx     tmp_x
        ldy     #SLOTS-1
@enemy: lda     e_depth,y
        beq     @next
        cmp     hit_limit
        bcs     @next
        jsr     target
        ldx     tmp_x
        bcc     @next
        jsr     strike
        bcs     @out
@next:  dey
        bpl     @enemy
@out:   rts

; Can enemy Y be hit at all? Carry set if so, with hit_lane, hit_lower (the same unless it is between lanes) and
; hit_reach. Keeps Y, clobbers A, X.
target:
        lda     e_lane,y
        sta     hit_lane
        sta     hit_lower
        lda     e_type,y
        bmi     @between
        and     #7
        tax
        cmp     #FUSEBALL       ; one that rests on its spoke cannot
        beq     @no
        lda     e_depth,y
        cmp     depth           ; nor one flat on the rim
        beq     @no
@yes:   lda     reach,x
        sta     hit_reach
        sec
        rts
@between:
        and     #7
        tax
        cmp     #FUSEBALL
        beq     @ball
        sec
        lda     hit_lane
        sbc     #1
        and     #15
        sta     hit_lower
        jmp     @yes
@ball:  lda     e_depth,y       ; nor a fuseball that crosses on the rim
        cmp     depth
        bne     @yes
@no:    clc
        rts

; Player shot X against enemy Y, which `target` has looked at. Carry set if they met: both are gone, X is lost.
; Keeps Y and, without a hit, X. Clobbers A.
strike:
        lda     shot_depth,x
        beq     @no
        lda     shot_lane,x
        cmp     hit_lane
        beq     @depth
        cmp     hit_lower
        bne     @no
@depth: sec
        lda     e_depth,y
        sbc     shot_depth,x
        bcs     @above
        eor     #$FF
        adc     #1
@above: sta     dist
        lda     hit_reach
        cmp     dist
        bcc     @out            ; carry: out of reach
        jsr     drop_shot
        sty     tmp_shot
        tya
        tax
        jsr     kill_enemy
        ldy     tmp_shot
        sec
@out:   rts
@no:    clc
        rts

; Player shot X against enemy shot Y. Carry set if they met: both are gone. Keeps X and Y, clobbers A.
cancel:
        lda     shot_depth,x
        beq     @no
        lda     e_shot_lane,y
        cmp     shot_lane,x
        bne     @no
        sec
        lda     e_shot_depth,y
        sta     born_depth
        sbc     shot_depth,x
        bcs     @beyond
        eor     #$FF
        adc     #1
@beyond:
        sta     dist
        lda     reach_shot
        cmp     dist
        bcc     @out
        jsr     drop_shot
        stx     tmp_shot
        sty     tmp_y
        tya
        tax
        jsr     drop_enemy_shot
        lda     e_shot_lane,x
        ldy     #EXPLODE_SHOT
        jsr     explode
        lda     #SND_EXPLODE
        jsr     sound_play
        ldx     tmp_shot
        ldy     tmp_y
        sec
@out:   rts
@no:    clc
        rts

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
