; States $04, playing, and $20, descending (ARCADE B.5, C.10).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export st_play, st_descent
.import move_player, fire_player, zap_player, spawn, move_enemies, move_shots, fire_enemies, hit_tests
.import step_explosions, dying_step, clear_shots, delay_to, sound_play, die, take_buttons, flash_step

WARNED_LEVELS   = 7
WARN_TIME       = 30
SPEED_FIRST     = 2
EYE_BEHIND      = 39            ; of the player in the descent

.segment "CODE"

; $04: one frame of play.
st_play:
        jsr     flash_step
        jsr     move_player
        jsr     fire_player
        jsr     zap_player
        bit     edge
        bmi     @still
        jsr     spawn
        jsr     move_enemies
@still: jsr     move_shots
        jsr     fire_enemies
        jsr     hit_tests
        jsr     step_explosions
        bit     edge
        bpl     @alive
        jmp     dying_step
@alive: lda     pending
        ora     explosions
        bne     @out
        ldx     #SLOTS-1
@enemy: lda     e_depth,x
        cmp     #RIM+1
        bcs     @out            ; still on its way
        dex
        bpl     @enemy
        jsr     clear_shots     ; level cleared
        lda     #$FF
        sta     zap_clock
        lda     #$80
        sta     descending
        lda     #SPEED_FIRST
        sta     speed_high
        lda     #0
        sta     speed_low
        sta     depth_low
        lda     #$FF
        sta     stars
        lda     level           ; acceleration: (32 + min(4 x level mod 256, 48)) / 256
        asl
        asl
        cmp     #48
        bcc     @slow
        lda     #48
@slow:  clc
        adc     #32
        sta     accelerate
        jsr     count_spikes
        sta     spike_warning
        tay
        beq     @go
        lda     level
        cmp     #WARNED_LEVELS
        bcs     @go
        tya
        ora     #$80
        sta     spike_warning
        lda     #SND_WARN
        jsr     sound_play
        lda     #WARN_TIME
        ldx     #STATE_DESCENT
        jmp     delay_to
@go:    lda     #STATE_DESCENT
        sta     state
@out:   rts

; Lanes with a spike, in A. Clobbers X, Y.
count_spikes:
        ldx     #15
        lda     open_tube
        beq     @all
        dex
@all:   ldy     #0
@lane:  lda     spike,x
        beq     @none
        iny
@none:  dex
        bpl     @lane
        tya
        rts

; $20: down the tube.
st_descent:
        jsr     flash_step
        lda     spike_warning
        and     #$7F
        sta     spike_warning
        lda     #BUTTON_ZAP | BUTTON_FIRE
        jsr     take_buttons
        jsr     move_player
        bit     edge
        bmi     @explosions
        jsr     descend
@explosions:
        jsr     step_explosions
        jsr     fire_player
        jsr     move_shots
        bit     edge
        bpl     @out
        jmp     dying_step
@out:   rts

descend:
        lda     depth
        cmp     #RIM
        bne     @fall
        lda     #SND_DESCENT
        jsr     sound_play
@fall:  lda     depth_low
        clc
        adc     speed_low
        sta     depth_low
        lda     depth
        adc     speed_high
        bcc     @inside
        lda     #$FF
@inside:
        sta     depth
        lda     speed_low
        clc
        adc     accelerate
        sta     speed_low
        bcc     @eye
        inc     speed_high
@eye:   lda     depth
        sec
        sbc     #EYE_BEHIND
        sta     eye_low
        lda     #0
        sbc     #0
        sta     eye_high
        lda     depth
        cmp     #FAR
        bcs     @through
        ldy     lane
        lda     spike,y
        beq     @out
        cmp     depth
        bcs     @out
        lda     #DIED_BY_SPIKE
        jmp     die
@out:   rts
@through:
        lda     #$FF
        sta     depth
        jsr     clear_shots
        lda     #STATE_NEXT
        sta     state
        rts
