; Game over, the list of the eight best, initials (ARCADE A.3, C.13).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export st_over, st_sparkle, st_initials, list_init
.import sound_play, take_buttons, earom_save

ENTRIES         = 8
LIST_BYTES      = 24
SPARKLE_TIME    = 60
ENTRY_SECONDS   = 96            ; of 32 frames each
COUNTS          = 32            ; of the spinner for one letter
LETTERS         = 27
BLANK           = 26

.segment "RODATA"

first_scores:   ; worst first: low, mid, high
        .byte   $00, $00, $01,  $00, $50, $01,  $00, $00, $02,  $00, $50, $02
        .byte   $00, $00, $03,  $00, $00, $04,  $00, $00, $05,  $00, $00, $06
first_names:    ; last letter first: GUS TOR MIS BOR FEN KAI SIR OCO
        .byte   18, 20, 6,   17, 14, 19,  18, 8, 12,   17, 14, 1
        .byte   13, 4, 5,    8, 0, 10,    17, 8, 18,   14, 2, 14

.segment "CODE"

; The list as delivered. Clobbers A, X.
list_init:
        ldx     #LIST_BYTES-1
@copy:  lda     first_scores,x
        sta     high_scores,x
        lda     first_names,x
        sta     initials,x
        dex
        bpl     @copy
        lda     switches1
        sta     list_switches
        lda     switches2
        sta     list_switches+1
        rts

; $10: ranks the scores of the game that is over.
st_over:
        lda     #$80
        sta     mode
        lda     #SCREEN_OVER
        sta     screen
        lda     #0
        sta     player_rank
        sta     player_rank+1
        sta     spike_warning
        ldx     #0
        jsr     rank
        sta     player_rank
        lda     two_players
        beq     @ranked
        ldx     #3
        jsr     rank
        sta     player_rank+1
        cmp     #0
        beq     @ranked
        cmp     player_rank     ; the second player pushed the first down
        beq     @push
        bcs     @ranked
@push:  lda     player_rank
        beq     @ranked
        clc
        adc     #1
        cmp     #ENTRIES+1
        bcc     @down
        lda     #0
@down:  sta     player_rank
@ranked:
        jsr     earom_save
        lda     #0
        sta     entry_next
        lda     #SND_OVER
        jsr     sound_play
        lda     player_rank
        bne     enter
        inc     entry_next
        lda     player_rank+1
        bne     enter
leave:  lda     #STATE_ATTRACT
        sta     state
        rts

enter:  lda     #STATE_SPARKLE
        sta     state
        lda     #SPARKLE_TIME
        sta     countdown
        lda     #0
        sta     depth
        rts

; Inserts score X (0 or 3) into the list; its rank in A, 1-8, or 0. Clobbers all.
rank:
        ldy     #LIST_BYTES-3   ; from the best down to the first that is lower
@seek:  lda     score,x
        cmp     high_scores,y
        lda     score+1,x
        sbc     high_scores+1,y
        lda     score+2,x
        sbc     high_scores+2,y
        bcs     @beaten
        dey
        dey
        dey
        bpl     @seek
        lda     #0
        rts
@beaten:
        stx     rank_work
        sty     rank_work+1
        lda     score,x
        ora     score+1,x
        ora     score+2,x
        beq     @none           ; nothing is not a score
        ldx     #0              ; the worse ones move down, the last falls out
@move:  cpx     rank_work+1
        beq     @insert
        lda     high_scores+3,x
        sta     high_scores,x
        lda     initials+3,x
        sta     initials,x
        inx
        bne     @move
@insert:
        ldy     rank_work
        lda     score,y
        sta     high_scores,x
        lda     score+1,y
        sta     high_scores+1,x
        lda     score+2,y
        sta     high_scores+2,x
        lda     #0
        sta     initials+2,x    ; A, then blanks
        lda     #BLANK
        sta     initials,x
        sta     initials+1,x
        lda     #LIST_BYTES
        sec
        sbc     rank_work+1
        ldx     #0
@third: inx
        sec
        sbc     #3
        bne     @third
        txa
        rts
@none:  lda     #0
        rts

; $24: the picture before the initials.
st_sparkle:
        lda     #SCREEN_SPARKLE
        sta     screen
        dec     countdown
        bne     @out
        lda     #2
        sta     entry_letter
        lda     #3
        sta     entry_left
        lda     #ENTRY_SECONDS
        sta     entry_timer
        lda     #0
        sta     knob_angle
        sta     spinner
        sta     pressed
        lda     #RIM
        sta     depth
        lda     #SCREEN_INITIALS
        sta     screen
        lda     #STATE_INITIALS
        sta     state
@out:   rts

; $12: three letters by spinner and fire or zap.
st_initials:
        jsr     entry_offset
        jsr     turn_letter
        lda     #BUTTON_ZAP | BUTTON_FIRE
        jsr     take_buttons
        bne     @accept
        lda     frame
        and     #31
        bne     @out
        dec     entry_timer
        bne     @out
        beq     @done
@accept:
        lda     #SND_SELECT
        jsr     sound_play
        dec     entry_left
        beq     @done
        dec     entry_letter
        jsr     entry_offset
        lda     #0              ; the next letter starts at A
        sta     initials,x
        sta     knob_angle
@out:   rts
@done:  jsr     earom_save
        lda     entry_next
        bne     @leave
        inc     entry_next
        lda     player_rank+1
        beq     @leave
        jmp     enter
@leave: jmp     leave

; X = offset of the letter being chosen in `initials`. Clobbers A.
entry_offset:
        ldx     entry_next
        lda     #ENTRIES
        sec
        sbc     player_rank,x
        sta     temp
        asl
        adc     temp
        adc     entry_letter
        tax
        rts

; Turns letter X of `initials` by the spinner, round and round. Keeps X.
turn_letter:
        lda     spinner
        ldy     #0
        sty     spinner
        cmp     #$80
        bcs     @down
        cmp     #95
        bcc     @add
        lda     #95
        bne     @add
@down:  cmp     #<-95
        bcs     @add
        lda     #<-95
@add:   clc
        adc     knob_angle
@more:  bmi     @less
        cmp     #COUNTS
        bcc     @done
        sbc     #COUNTS
        inc     initials,x
        ldy     initials,x
        cpy     #LETTERS
        bcc     @again
        ldy     #0
@store: pha
        tya
        sta     initials,x
        pla
@again: tay                     ; for the sign
        jmp     @more
@less:  cmp     #<-COUNTS+1
        bcs     @done
        adc     #COUNTS
        dec     initials,x
        bpl     @again
        ldy     #LETTERS-1
        bne     @store
@done:  sta     knob_angle
        rts
