; The level select menu (ARCADE A.12, C.12).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export st_select, st_select2, select_begin
.import take_buttons, start_levels, level_params, level_fresh, sound_play

SECONDS         = $10           ; BCD
TICKS           = 20            ; a "second" takes one more frame
COUNTS          = 32            ; of the spinner for one entry
FLOOR           = 4             ; the menu always reaches level 9
LAST_ENTRY      = 27
HURRY           = 8             ; below this many seconds start confirms, too
SPIN_MOST       = 95

.segment "CODE"

; $1C: the second player chooses.
st_select2:

; Sets the menu up for the player now up and goes to $16. Clobbers all.
select_begin:
        ldx     #LAST_ENTRY
@seek:  lda     best_level      ; the last entry not above the best level of the last game ...
        clc
        adc     #1
        cmp     start_levels,x
        bcs     @found
        dex
        bne     @seek
@found: lda     #FLOOR          ; ... or the floor, which good scores raise
        sta     temp
        lda     difficulty
        and     #4
        beq     @floor
        lda     high_scores+23
        ldy     #2
@rated: cmp     score_steps,y
        bcc     @lower
        inc     temp
@lower: dey
        bpl     @rated
@floor: cpx     temp
        bcs     @limit
        ldx     temp
@limit: stx     menu_limit
        lda     #0
        sta     best_level
        sta     lane
        sta     knob_angle
        sta     spinner
        sta     zaps
        sta     zap_clock
        sta     edge
        lda     #RIM
        sta     depth
        lda     #SECONDS
        sta     countdown
        lda     #TICKS
        sta     entry_timer
        lda     #$FF
        sta     open_tube
        lda     #SCREEN_SELECT
        sta     screen
        lda     #STATE_SELECT
        sta     state
        lda     #0
        sta     select_row
        rts

; $16: the menu.
st_select:
        lda     lane            ; the limit may have been lowered meanwhile
        cmp     menu_limit
        bcc     @inside
        lda     menu_limit
        cmp     #LAST_ENTRY+1
        bcc     @clamp
        lda     #LAST_ENTRY
        sta     menu_limit
@clamp: sta     lane
@inside:
        jsr     turn_menu
        lda     lane            ; the window of five entries follows the cursor
        sec
        sbc     #2
        bcs     @row
        lda     #0
@row:   sta     select_row
        lda     #BUTTON_ZAP | BUTTON_FIRE | BUTTON_START1 | BUTTON_START2
        ldx     countdown
        cpx     #HURRY
        bcc     @buttons
        lda     #BUTTON_ZAP | BUTTON_FIRE
@buttons:
        jsr     take_buttons
        bne     @confirm
        dec     entry_timer
        bpl     @out
        lda     #TICKS
        sta     entry_timer
        sed
        lda     countdown
        sec
        sbc     #1
        cld
        sta     countdown
        bne     @out
@confirm:
        lda     #SND_START
        jsr     sound_play
        ldy     lane
        ldx     player_up
        tya
        sta     choice,x
        lda     start_levels,y
        sec
        sbc     #1
        sta     level_of,x
        sta     level
        lda     #14             ; the cursor is a lane again
        sta     lane
        lda     #15
        sta     edge
        lda     #$F0
        sta     knob_angle
        jsr     level_params
        jsr     level_fresh
        lda     #STATE_LOAD
        sta     state
@out:   rts

; Moves the cursor by the spinner, 32 counts an entry; positive is up.
turn_menu:
        lda     spinner
        ldx     #0
        stx     spinner
        cmp     #$80
        bcs     @down
        cmp     #SPIN_MOST
        bcc     @add
        lda     #SPIN_MOST
        bne     @add
@down:  cmp     #<-SPIN_MOST
        bcs     @add
        lda     #<-SPIN_MOST
@add:   clc
        adc     knob_angle
@more:  bmi     @less
        cmp     #COUNTS
        bcc     @done
        sbc     #COUNTS
        ldx     lane
        cpx     menu_limit
        bcs     @again
        inc     lane
        jsr     @click
        jmp     @again
@less:  cmp     #<-COUNTS+1
        bcs     @done
        adc     #COUNTS
        ldx     lane
        beq     @again
        dec     lane
        jsr     @click
@again: tax                     ; for the sign
        jmp     @more
@done:  sta     knob_angle
        rts
@click: pha
        lda     #SND_SELECT
        jsr     sound_play
        pla
        rts

.segment "RODATA"
score_steps:    .byte   $30, $50, $70
