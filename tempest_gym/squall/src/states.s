; Game states that are mostly bookkeeping: start, load, life lost, delays, next level, zoom, attract, service (ARCADE A.2).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export st_start, st_load, st_life, st_end, st_delay, st_next, st_attract, st_zoom, st_logo, st_pause, st_service
.export delay_to, take_buttons, stars_step, view_rest, reset_again
.import select_begin, level_params, level_fresh, level_begin, move_player, award_choice, sound_play
.import read_switches, swap_players

SCORES_TIME     = 160           ; at half rate
LOGO_TIME       = 223
NEXT_TIME       = 80
PAUSE_TIME      = 20
ZOOM_FROM       = $FA           ; -1536, high byte
ZOOM_STEP       = 24

.segment "CODE"

; Takes the button edges named by A out of `pressed` and keeps the others. Returns them in A, flags set. Clobbers X.
take_buttons:
        tax
        eor     #$7F
        sta     temp
        txa
        sei
        and     pressed
        tax
        lda     pressed
        and     temp
        sta     pressed
        cli
        txa
        rts

; Shows state $0A for A frames (0 still shows one), then goes to state X. Clobbers Y.
delay_to:
        sta     countdown
        stx     next_state
        ldy     #STATE_DELAY
        sty     state
        rts

reset_again:                    ; the main loop hangs: let the watchdog bite
        sei
@wait:  jmp     @wait

; $00: a game or the demo starts.
st_start:
        jsr     read_switches
        lda     #$FF
        sta     level_of
        sta     level_of+1
        lda     #0
        sta     player_up
        sta     player_next
        sta     spinner
        sta     delay_mask
        sta     choice
        sta     choice+1
        sta     bonus_flash
        ldx     #17
@other: sta     zaps,x
        sta     other_zaps,x
        dex
        bpl     @other
        bit     mode
        bpl     @demo
        ldx     #5
@score: sta     score,x
        dex
        bpl     @score
        lda     start_lives
        sta     lives
        ldx     two_players
        bne     @pair
        lda     #0
@pair:  sta     lives+1
        jmp     select_begin
@demo:  sta     two_players
        sta     lives+1
        lda     #1
        sta     lives
        lda     RANDOM_1        ; a level of 1-8
        and     #7
        sta     level_of
        sta     level
        jsr     level_params
        jsr     level_fresh
        lda     #STATE_LOAD
        sta     state
        rts

; $02: the player's level, the player at the rim, shots and enemies gone.
st_load:
        lda     #SCREEN_PLAY
        sta     screen
        ldx     player_up
        lda     level_of,x
        sta     level
        jsr     level_params
        jsr     level_begin
        jsr     view_rest
        lda     #$F0
        sta     knob_angle
        lda     #14
        sta     lane
        lda     #15
        sta     edge
        lda     #RIM
        sta     depth
        lda     #0
        sta     spinner
        lda     player_up
        cmp     player_next
        beq     @same
        sta     player_next
        lda     #SCREEN_NEXT    ; the other player's turn is announced
        sta     screen
        lda     #NEXT_TIME
        ldx     #STATE_PAUSE
        jmp     delay_to
@same:  lda     #STATE_PAUSE
        sta     state
        rts

; Eye at rest, no stars. Clobbers A.
view_rest:
        lda     #0
        sta     stars
        lda     #$FF
        sta     eye_high
        lda     eye_rest
        sta     eye_low
        rts

; $1E: a short pause before play.
st_pause:
        lda     #SCREEN_PLAY
        sta     screen
        lda     #PAUSE_TIME
        ldx     #STATE_PLAY
        jmp     delay_to

; $0A: waits; the player may turn.
st_delay:
        lda     frame
        and     delay_mask
        bne     @turn
        lda     countdown
        beq     @over
        dec     countdown
        beq     @over
@turn:  bit     mode
        bvc     @out
        lda     #BUTTON_ZAP | BUTTON_FIRE
        jsr     take_buttons
        jmp     move_player
@over:  lda     #0
        sta     delay_mask
        lda     next_state
        sta     state
@out:   rts

; $06: a life is lost; who plays next?
st_life:
        ldx     player_up
        dec     lives,x
        lda     lives
        ora     lives+1
        bne     @goes_on
        jmp     game_ends
@goes_on:
        lda     #0
        sta     redraw
        txa
        eor     #1
        tay
        lda     lives,y
        beq     @stay           ; the other has none left, or does not play
        sty     player_up
        jsr     swap_players
        ldx     player_up
        lda     level_of,x
        cmp     #$FF
        bne     @again
        lda     #0
        ldx     #STATE_SELECT2
        jmp     delay_to
@stay:  stx     player_next
@again: lda     #0
        ldx     #STATE_LOAD
        jmp     delay_to

; $08: end of play: keeps the highest level reached.
st_end:
game_ends:
        ldx     level_of
        cpx     #$FF
        bne     @first
        ldx     #0
@first: lda     two_players
        beq     @known
        lda     level_of+1
        cmp     #$FF
        beq     @known
        cpx     level_of+1
        bcs     @known
        ldx     level_of+1
@known: txa
        beq     @store
        dex
@store: stx     best_level
        ldx     #STATE_OVER
        bit     mode
        bmi     @real
        ldx     #STATE_ATTRACT
@real:  stx     state
        rts

; $0E: the level is done: next level, starting bonus, new tube.
st_next:
        ldx     player_up
        lda     level
        cmp     #98
        bcs     @last
        inc     level
        lda     level
        sta     level_of,x
@last:  jsr     award_choice
        jsr     level_params
        jsr     level_fresh
        jsr     level_begin
        lda     #0
        sta     spinner
        jsr     move_player     ; an open tube has no lane 15
        lda     #RIM
        sta     depth
        lda     #ZOOM_FROM
        sta     eye_high
        lda     #0
        sta     eye_low
        lda     #STATE_ZOOM
        sta     state
        lda     #SND_WARP
        jmp     sound_play

; $18: the new tube approaches; the player may turn.
st_zoom:
        bit     mode
        bpl     @still
        lda     #BUTTON_ZAP | BUTTON_FIRE
        jsr     take_buttons
        jsr     move_player
@still: lda     eye_low
        clc
        adc     #ZOOM_STEP
        sta     eye_low
        bcc     @near
        inc     eye_high
        beq     @there          ; past 0: a resting depth nearer than one step
@near:  lda     eye_high
        cmp     #$FF
        bne     @out
        lda     eye_low
        cmp     eye_rest
        bcc     @out
@there: jsr     view_rest
        ldx     player_up
        lda     #0
        sta     choice,x
        ldx     #STATE_PLAY
        bit     mode
        bmi     @real
        ldx     #STATE_END
@real:  stx     state
@out:   rts

; $14: back to the attract ring: the high scores.
st_attract:
        jsr     read_switches
        lda     #0
        sta     mode
        sta     two_players
        sta     player_up
        sta     player_next
        sta     descending
        sta     spike_warning
        sta     stars
        sta     bonus_flash
        lda     #1
        sta     delay_mask
        lda     #SCREEN_SCORES
        sta     screen
        lda     #SCORES_TIME
        ldx     #STATE_LOGO
        jmp     delay_to

; $1A: the logo.
st_logo:
        lda     #SCREEN_LOGO
        sta     screen
        lda     #LOGO_TIME
        ldx     #STATE_START
        jmp     delay_to

; $22: what the test switch shows; the display reads the inputs.
st_service:
        lda     #SCREEN_SERVICE
        sta     screen
        lda     inputs
        and     #$10
        beq     @out
        lda     earom_state
        bne     @out
        lda     #SCREEN_SCORES
        sta     screen
        lda     #STATE_START
        sta     state
@out:   rts

; Star rings of the warp: 8 depths, one step a frame while the switch is on ($FF refills). Clobbers A, X.
stars_step:
        ldx     stars
        beq     @out
        bmi     @fill
        ldx     #7
@move:  lda     ring,x
        sec
        sbc     #7
        cmp     #RIM
        bcs     @keep
        lda     #FAR
@keep:  sta     ring,x
        dex
        bpl     @move
@out:   rts
@fill:  ldx     #7
        lda     #RIM
@ring:  clc
        adc     #26
        sta     ring,x
        dex
        bpl     @ring
        lda     #1
        sta     stars
        rts

ring = $03FE
