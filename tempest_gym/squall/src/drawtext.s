; Text: strings, numbers, the line of the score.

.include "ram.inc"
.include "draw.inc"
.include "art.inc"
.include "text.inc"

.export print, put_letter, put_run, put_bcd, put_digit, put_number, begin_text, draw_status, status_init, put_padded, start_digits
.import letter_low, letter_high, flush, claw_middle_low, claw_middle_high

SCORE_SIZE      = $7040         ; three quarters
ICON_SIZE       = $7257

.assert >CALL_NO_CLAW = >CALL_CLAW1_0, error, "lives differ in their high bytes"

.segment "DRAW"

; Prints the text at A (low), X (high): place, size, colour, letters, $FF. Clobbers X.
print:  sta     text_at
        stx     text_at+1
        room
        emit    CENTRE
        emit    FULL_SIZE
        sty     t0
        ldy     #0
        lda     (text_at),y
        sta     px
        iny
        lda     (text_at),y
        sta     px+1
        iny
        lda     (text_at),y
        sta     py
        iny
        lda     (text_at),y
        sta     py+1
        iny
        lda     (text_at),y
        sta     num
        iny
        lda     (text_at),y
        sta     num+1
        iny
        lda     (text_at),y
        sta     hue
        iny
        sty     t1
        ldy     t0
        jsr     begin_at
@next:  sty     t0
        ldy     t1
        lda     (text_at),y
        iny
        sty     t1
        ldy     t0
        tax
        bmi     @end
        lda     letter_low,x
        sta     (dl),y
        iny
        lda     letter_high,x
        sta     (dl),y
        iny
        jmp     @next
@end:   jmp     flush

; Centre, then to px, py; scale num, colour hue: what follows is written there.
begin_text:
        room
        emit    CENTRE
        emit    FULL_SIZE
begin_at:
        lda     py
        sta     (dl),y
        iny
        lda     py+1
        and     #$1F
        sta     (dl),y
        iny
        lda     px
        sta     (dl),y
        iny
        lda     px+1
        and     #$1F
        sta     (dl),y
        iny
        emit_word num
        emit_hue
        rts

; A letters of run_text from place X on.
put_run:
        sta     t0
@next:  txa
        pha
        lda     run_text,x
        jsr     put_letter
        pla
        tax
        inx
        dec     t0
        bne     @next
        rts

run_text:
        .byte   "250500750"

; BCD byte A as two digits; leading zeros are skipped until a digit was shown.
put_bcd:
        pha
        lsr
        lsr
        lsr
        lsr
        jsr     put_digit
        pla
        and     #15
put_digit:
        bne     @show
        bit     zeros
        bmi     skipped
@show:  ldx     #0
        stx     zeros
        clc
        adc     #'0'
put_letter:
        tax
        lda     letter_low,x
        sta     (dl),y
        iny
        lda     letter_high,x
        sta     (dl),y
        iny
skipped:
        rts

start_digits:
        lda     #$80
        sta     zeros
        rts

; Binary number A (0-99) in one or two digits.
put_number:
        ldx     #$FF
        sec
@tens:  inx
        sbc     #10
        bcs     @tens
        adc     #10
        pha
        lda     #$80
        sta     zeros
        txa
        jsr     put_digit
        lda     #0
        sta     zeros
        pla
        jmp     put_digit

; Score, lives, level, best score from a list that is rebuilt when one of them changes; and the state's message.
draw_status:
        ldx     player_up
        lda     lives,x
        cmp     shown_lives
        bne     @again
        lda     level
        cmp     shown_level
        bne     @again
        lda     zaps
        cmp     shown_zaps
        bne     @again
        lda     high_scores+22
        cmp     shown_best+1
        bne     @again
        lda     high_scores+23
        cmp     shown_best+2
        bne     @again
        cpx     #0
        beq     @first
        ldx     #3
@first: lda     score,x
        cmp     shown_score
        bne     @count
        lda     score+1,x
        cmp     shown_score+1
        bne     @count
        lda     score+2,x
        cmp     shown_score+2
        beq     @shown
@count: jsr     keep_list
        jsr     at_score
        jsr     copy_score
        jmp     @built
@again:  jsr     keep_list
        jsr     build_status
@built: lda     ax
        sta     dl
        lda     ax+1
        sta     dl+1
        ldy     #0
@shown: emit    CALL_STATUS
        jmp     messages

; At reset: a list that shows nothing yet has its form already.
status_init:
        lda     #$FF
        sta     shown_level
        ; falls through

build_status:
        ldy     #0
        jsr     at_status
        at      place_score
        jsr     copy_score
        at      place_best
        ldx     #2
@best:  lda     high_scores+21,x
        sta     shown_best,x
        dex
        bpl     @best
        ldx     #shown_best - shown_score
        jsr     put_score
        at      place_level
        ldx     level
        stx     shown_level
        inx
        txa
        jsr     put_level
        at      place_zap
        ldx     #BLUE
        lda     zaps
        sta     shown_zaps
        bne     @weak
        ldx     #YELLOW
@weak:  stx     hue
        emit_hue
        ldx     #0
@zap:   stx     t2
        lda     #' '
        ldx     zaps
        cpx     #2
        bcs     @used
        ldx     t2
        lda     zap_text,x
@used:  jsr     put_letter
        ldx     t2
        inx
        cpx     #3
        bne     @zap
        at      place_lives
        ldx     player_up
        lda     lives,x
        sta     shown_lives
        ldx     #LIVES_SHOWN
@icon:  stx     t2
        sec
        sbc     #1
        bmi     @none
        beq     @none
        tax
        lda     claw_middle_low
        sta     (dl),y
        iny
        lda     claw_middle_high
        bne     @set
@none:  ldx     #0
        lda     #<CALL_NO_CLAW
        sta     (dl),y
        iny
        lda     #>CALL_NO_CLAW
@set:   sta     (dl),y
        iny
        emit    0
        emit    190
        txa
        ldx     t2
        dex
        bne     @icon
        emit    RETURN
        rts

; The list is kept aside while that of the status is changed.
keep_list:
        jsr     flush
        lda     dl
        sta     ax
        lda     dl+1
        sta     ax+1
        rts

; The digits of the score stand after its place, size and colour.
at_score:
        ldy     #12
at_status:
        lda     #<STATUS
        sta     dl
        lda     #>STATUS
        sta     dl+1
        rts

copy_score:
        ldx     player_up
        beq     @first
        ldx     #3
@first: lda     score,x
        sta     shown_score
        lda     score+1,x
        sta     shown_score+1
        lda     score+2,x
        sta     shown_score+2
        ldx     #0
        jmp     put_score

LIVES_SHOWN     = 5

zap_text:
        .byte   "ZAP"

; Six digits of the BCD number at shown_score+X, blanks for leading zeros but the last.
put_score:
        stx     t3
        jsr     start_digits
        ldx     t3
        lda     shown_score+2,x
        jsr     put_padded
        ldx     t3
        lda     shown_score+1,x
        jsr     put_padded
        ldx     t3
        lda     shown_score,x
        pha
        lsr
        lsr
        lsr
        lsr
        jsr     pad_digit
        pla
        and     #15
        jmp     put_shown

; Two digits of the BCD byte A, blanks for leading zeros.
put_padded:
        pha
        lsr
        lsr
        lsr
        lsr
        jsr     pad_digit
        pla
        and     #15
pad_digit:
        bne     put_shown
        bit     zeros
        bpl     put_shown
        lda     #' '
        jmp     put_letter
put_shown:
        ldx     #0
        stx     zeros
        clc
        adc     #'0'
        jmp     put_letter

; Binary number A (0-99) in two places.
put_level:
        ldx     #$FF
        sec
@tens:  inx
        sbc     #10
        bcs     @tens
        adc     #10
        pha
        jsr     start_digits
        txa
        jsr     pad_digit
        pla
        jmp     put_shown

messages:
        bit     mode
        bpl     attract
        bit     spike_warning
        bpl     @calm
        at      text_spikes
@calm:  lda     bonus_flash
        beq     @done
        bmi     @done
        and     #4
        beq     @done
        at      text_bonus
@done:  rts

; In the demonstration: how to play.
attract:
        lda     frame
        and     #$20
        beq     @name
        lda     credits
        beq     @coin
        lda     #<text_start
        ldx     #>text_start
        jmp     print
@coin:  lda     switches1
        and     #3
        beq     @name
        lda     #<text_coin
        ldx     #>text_coin
        jmp     print
@name:  lda     #<text_demo
        ldx     #>text_demo
        jmp     print

text_spikes:
        centred 0, HALF_SIZE, WHITE, "SPIKES AHEAD"
text_bonus:
        centred -30, HALF_SIZE, YELLOW, "BONUS LIFE"
text_start:
        centred -262, HALF_SIZE, WHITE, "PRESS START"
text_coin:
        centred -262, HALF_SIZE, WHITE, "INSERT COIN"
text_demo:
        centred -262, HALF_SIZE, CYAN, "SQUALL"
place_score:
        text    -270, 258, SCORE_SIZE, YELLOW, ""
place_best:
        text    -48, 266, HALF_SIZE, CYAN, ""
place_level:
        text    178, 258, SCORE_SIZE, GREEN, ""
place_zap:
        text    178, 236, HALF_SIZE, YELLOW, ""
place_lives:
        text    -270, 236, ICON_SIZE, C_PLAYER, ""
