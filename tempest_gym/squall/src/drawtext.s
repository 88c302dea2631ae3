; Text: strings, numbers, the line of the score.

.include "ram.inc"
.include "draw.inc"
.include "art.inc"
.include "text.inc"

.export print, put_letter, put_run, put_bcd, put_digit, put_number, begin_text, draw_status, start_digits
.import letter_low, letter_high, flush, claw_middle_low, claw_middle_high

SCORE_SIZE      = $7040         ; three quarters
ICON_SIZE       = $7257

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

; Score, lives, level, best score; what the state has to say.
draw_status:
        at      -270, 258, SCORE_SIZE, YELLOW
        ldx     player_up
        beq     @first
        ldx     #3
@first: lda     score+2,x
        pha
        lda     score+1,x
        pha
        lda     score,x
        tax
        jsr     start_digits
        pla
        sta     t2
        pla
        stx     t3
        jsr     put_bcd
        lda     t2
        jsr     put_bcd
        lda     t3
        jsr     last_digits
        at      178, 258, SCORE_SIZE, GREEN
        ldx     level
        inx
        txa
        jsr     put_number
        at      -48, 266, HALF_SIZE, CYAN
        jsr     start_digits
        lda     high_scores+23
        jsr     put_bcd
        lda     high_scores+22
        jsr     put_bcd
        lda     high_scores+21
        jsr     last_digits
        ldx     player_up
        lda     lives,x
        cmp     #2
        bcc     @message
        cmp     #7
        bcc     @few
        lda     #6
@few:   sta     t2
        at      -270, 236, ICON_SIZE, C_PLAYER
@icon:  dec     t2
        beq     @message
        lda     claw_middle_low
        sta     (dl),y
        iny
        lda     claw_middle_high
        sta     (dl),y
        iny
        emit    0
        emit    190
        jmp     @icon
@message:
        bit     mode
        bpl     attract
        lda     zaps
        cmp     #2
        bcs     @used
        ldx     #YELLOW
        lda     zaps
        beq     @full
        ldx     #BLUE
@full:  stx     t2
        at      178, 236, HALF_SIZE, YELLOW
        lda     t2
        sta     hue
        emit_hue
        lda     #'Z'
        jsr     put_letter
        lda     #'A'
        jsr     put_letter
        lda     #'P'
        jsr     put_letter
@used:  bit     spike_warning
        bpl     @calm
        lda     #<text_spikes
        ldx     #>text_spikes
        jsr     print
@calm:  lda     bonus_flash
        beq     @done
        bmi     @done
        and     #4
        beq     @done
        lda     #<text_bonus
        ldx     #>text_bonus
        jsr     print
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

; The last two digits of a score: a lone zero is shown.
last_digits:
        pha
        lsr
        lsr
        lsr
        lsr
        jsr     put_digit
        lda     #0
        sta     zeros
        pla
        and     #15
        jmp     put_digit

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
