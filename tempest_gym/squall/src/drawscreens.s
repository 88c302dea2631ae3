; The screens besides the tube: level select, high scores, initials, logo and short messages.

.include "hardware.inc"
.include "ram.inc"
.include "draw.inc"
.include "art.inc"
.include "text.inc"

.export draw_screen, screen_still
.import flush, print, put_letter, put_bcd, put_padded, put_number, begin_text, start_digits, emit_size, draw_status
.import draw_stars, tube_x, tube_y, start_levels, bonus_mid, bonus_high, place_shape

CHOICES         = 5
CHOICE_APART    = 112

.segment "DRAW"

draw_screen:
        ldx     screen
        cpx     #SCREEN_CREDITS + 2
        bcs     @none
        lda     screens-1,x     ; there is none for the tube
        pha
        lda     screens-2,x
        pha
@none:  rts

screens:
        .word   service-1, sparkle-1, entry-1, select-1, scores-1
        .word   over-1, next-1, press-1, logo-1, logo-1, two_credits-1

; Carry set: the screen would look as it does already. The level select takes long to draw.
screen_still:
        ldx     screen
        cpx     #SCREEN_SELECT
        bne     @moved
        cpx     shown_screen
        bne     @moved
        lda     lane
        cmp     shown_lane
        bne     @moved
        lda     countdown
        cmp     shown_seconds
        bne     @moved
        sec
        rts
@moved: stx     shown_screen
        lda     lane
        sta     shown_lane
        lda     countdown
        sta     shown_seconds
        clc
        rts

; --- level select: five choices with their tube, level and bonus
select: lda     #<text_choose
        ldx     #>text_choose
        jsr     print
        at      text_level
        at      text_worth
        at      text_turn
        at      place_seconds
        jsr     start_digits
        lda     countdown
        jsr     put_bcd
        lda     #<(-2 * CHOICE_APART)
        sta     px
        lda     #>(-2 * CHOICE_APART)
        sta     px+1
        lda     #CHOICES
        sta     row
        lda     select_row
        sta     slot
@next:  ldx     slot
        cpx     #28
        bcs     @end
        cpx     menu_limit
        beq     @allowed
        bcs     @end
@allowed:
        jsr     draw_choice
        clc
        lda     px
        adc     #CHOICE_APART
        sta     px
        bcc     @same
        inc     px+1
@same:  inc     slot
        dec     row
        bne     @next
@end:   rts

; Entry `slot` around px; the chosen one is bright.
draw_choice:
        emit    STAT_BRIGHT | $A0
        ldx     #CYAN
        lda     slot
        cmp     lane
        bne     @other
        emit    STAT_BRIGHT | $F0
        ldx     #YELLOW
@other: stx     t2
        stx     hue
        lda     #<20
        sta     py
        lda     #0
        sta     py+1
        lda     #<$7140         ; the tube, three eighths of its size
        sta     num
        lda     #>$7140
        sta     num+1
        jsr     begin_text
        jsr     draw_icon
        lda     t2
        sta     hue
        lda     #<(-90)
        jsr     @line
        ldx     slot
        lda     start_levels,x
        jsr     put_number
        lda     #<(-142)
        jsr     @line
        jsr     start_digits
        ldx     slot
        lda     bonus_high,x
        jsr     put_bcd
        ldx     slot
        lda     bonus_mid,x
        jsr     put_bcd
        bit     zeros           ; no bonus at all
        bmi     @nothing
        lda     #0
        jsr     put_bcd
        jmp     @back
@nothing:
        lda     #'-'
        jsr     put_letter
@back:  sec                     ; back from the digits to the middle
        lda     px
        sbc     #<(-40)
        sta     px
        lda     px+1
        sbc     #>(-40)
        sta     px+1
        rts
@line:  sta     py
        lda     #$FF
        sta     py+1
        lda     #<HALF_SIZE
        sta     num
        lda     #>HALF_SIZE
        sta     num+1
        lda     py
        cmp     #<(-142)
        bne     @number
        clc
        lda     px
        adc     #<(-24)
        sta     px
        lda     px+1
        adc     #>(-24)
        sta     px+1
        jmp     begin_text
@number:
        clc
        lda     px
        adc     #<(-16)
        sta     px
        lda     px+1
        adc     #>(-16)
        sta     px+1
        jmp     begin_text

; The outline of entry `slot`, from the beam's place as its centre.
draw_icon:
        ldx     slot
        lda     start_levels,x
        sec
        sbc     #1
        pha
        and     #15
        tax
        lda     place_shape,x
        sta     t3
        asl
        asl
        asl
        asl
        sta     ax              ; first spoke in the tables
        ldx     #128
        stx     t0
        stx     t1
        lda     #0
        sta     ax+1            ; blank
        pla
        tax
        jsr     icon_colour
        lda     ax
        sta     ay
        ldx     #17
        lda     t3
        jsr     is_open
        bcc     @edges
        dex
@edges: stx     ay+1
@edge:  jsr     flush
        ldx     ay
        lda     tube_x,x
        ldx     t0
        sta     t0
        jsr     delta
        jsr     widen
        ldx     ay
        lda     tube_y,x
        ldx     t1
        sta     t1
        jsr     delta
        lda     num
        sta     (dl),y
        iny
        lda     num+1
        and     #$1F
        sta     (dl),y
        iny
        lda     bx
        sta     (dl),y
        iny
        lda     bx+1
        and     #$1F
        ora     ax+1
        sta     (dl),y
        iny
        lda     #$20            ; drawn with the list's brightness
        sta     ax+1
        inc     ay
        lda     ay
        and     #15
        bne     @same
        lda     ax
        sta     ay
@same:  dec     ay+1
        bne     @edge
        rts

; Colour of the tube of level-1 X.
icon_colour:
        txa
        lsr
        lsr
        lsr
        lsr
        tax
        lda     tube_colours,x
        sta     hue
        emit_hue
        rts

tube_colours:                   ; by block of 16 levels; the invisible ones are drawn white here
        .byte   BLUE, RED, YELLOW, CYAN, WHITE, GREEN, GREEN

; Carry set: shape A is open.
.import tube_open
is_open:
        tax
        lda     tube_open,x
        asl
        ldx     #17
        rts

; num = A - X
delta:  stx     num
        sec
        sbc     num
        sta     num
        lda     #0
        sbc     #0
        sta     num+1
        rts

; bx = num * 1.3125: the screen's units are narrower than high
widen:  lda     num
        sta     bx
        lda     num+1
        sta     bx+1
        jsr     @quarter
        jsr     @add
        jsr     @quarter
@add:   clc
        lda     bx
        adc     num
        sta     bx
        lda     bx+1
        adc     num+1
        sta     bx+1
        rts
@quarter:
        ldx     #2
@half:  lda     num+1
        cmp     #$80
        ror     num+1
        ror     num
        dex
        bne     @half
        rts

; --- high scores: eight lines of rank, initials and score, the best on top
scores: lda     #<text_scores
        ldx     #>text_scores
        jsr     print
        jsr     coins
score_list:
        lda     #<110
        sta     row_y
        lda     #>110
        sta     row_y+1
        lda     #0
        sta     row             ; 0 = the best
@line:  lda     row_y
        sta     py
        lda     row_y+1
        sta     py+1
        lda     #<(-176)
        sta     px
        lda     #>(-176)
        sta     px+1
        lda     #<SCORE_SIZE
        sta     num
        lda     #>SCORE_SIZE
        sta     num+1
        ldx     row
        lda     line_colours,x
        inx
        cpx     player_rank
        bne     @plain
        lda     #WHITE
@plain: sta     hue
        jsr     begin_text
        lda     row
        clc
        adc     #1
        jsr     put_number
        jsr     two_blanks
        lda     #7              ; worst first in RAM
        sec
        sbc     row
        sta     t2
        asl
        adc     t2
        sta     t2
        tax
        lda     initials+2,x
        jsr     put_letter
        ldx     t2
        lda     initials+1,x
        jsr     put_letter
        ldx     t2
        lda     initials,x
        jsr     put_letter
        jsr     two_blanks
        jsr     start_digits
        ldx     t2
        lda     high_scores+2,x
        jsr     put_padded
        ldx     t2
        lda     high_scores+1,x
        jsr     put_padded
        lda     #0
        sta     zeros
        ldx     t2
        lda     high_scores,x
        jsr     put_bcd
        jsr     flush
        sec
        lda     row_y
        sbc     #36
        sta     row_y
        bcs     @same
        dec     row_y+1
@same:  inc     row
        lda     row
        cmp     #8
        beq     @end
        jmp     @line
@end:   rts

two_blanks:
        lda     #' '
        jsr     put_letter
        lda     #' '
        jmp     put_letter

SCORE_SIZE      = $7040

line_colours:
        .byte   YELLOW, CYAN, CYAN, GREEN, GREEN, RED, RED, RED

; Credits, or what to do for one.
coins:  lda     switches1
        and     #3
        beq     @free
        lda     credits
        bne     @some
        lda     #<text_coin
        ldx     #>text_coin
        jmp     print
@free:  lda     #<text_free
        ldx     #>text_free
        jmp     print
@some:  at      place_credits
        ldx     #0
@word:  lda     text_credits,x
        bmi     @count
        stx     t2
        jsr     put_letter
        ldx     t2
        inx
        bne     @word
@count: lda     credits
        cmp     #40
        bcc     @number
        lda     #40
@number:
        jmp     put_number

; --- initials
entry:  lda     #<text_enter
        ldx     #>text_enter
        jsr     print
        at      text_how
        ldx     entry_next
        lda     player_rank,x
        beq     @list
        lda     #8              ; worst first in RAM
        sec
        sbc     player_rank,x
        sta     t2
        asl
        adc     t2
        sta     t2
        at      place_letters
        lda     #2
        sta     t3
@letter:
        ldx     #YELLOW
        lda     t3
        cmp     entry_letter
        bne     @other
        lda     frame
        and     #4
        beq     @other
        ldx     #WHITE
@other: stx     hue
        emit_hue
        lda     t2
        clc
        adc     t3
        tax
        lda     initials,x
        cmp     #27
        bcc     @known
        lda     #' '
@known: jsr     put_letter
        dec     t3
        bpl     @letter
@list:  jmp     score_list

; --- a place on the list: bursts all over the screen
sparkle:
        at      text_great
        lda     #7
        sta     slot
@next:  room
        ldx     slot
        lda     sparkle_x,x
        sta     px
        lda     sparkle_x_high,x
        sta     px+1
        lda     sparkle_y,x
        sta     py
        lda     sparkle_y_high,x
        sta     py+1
        lda     #<FULL_SIZE
        sta     num
        lda     #>FULL_SIZE
        sta     num+1
        txa
        and     #3
        clc
        adc     #BLUE
        sta     hue
        jsr     begin_text
        lda     slot
        asl
        asl
        asl
        asl
        asl
        sta     t2
        lda     frame
        asl
        asl
        asl
        clc
        adc     t2
        and     #$7F
        ora     #$80
        jsr     emit_size
        emit    CALL_BURST
        dec     slot
        bpl     @next
        jmp     score_list

sparkle_x:
        .byte   <(-220), <(-110), <0, <110, <220, <(-180), <180, <(-60)
sparkle_x_high:
        .byte   >(-220), >(-110), 0, 0, 0, >(-180), 0, >(-60)
sparkle_y:
        .byte   <200, <(-220), <235, <190, <(-200), <0, <(-30), <(-235)
sparkle_y_high:
        .byte   0, >(-220), 0, 0, >(-200), 0, >(-30), >(-235)

; --- short messages
over:   jsr     draw_status
        at      text_over
        jmp     which

next:   lda     #<text_next
        ldx     #>text_next
        jsr     print
which:  lda     two_players
        beq     @alone
        at      place_player
        ldx     #0
@word:  lda     text_player,x
        bmi     @count
        stx     t2
        jsr     put_letter
        ldx     t2
        inx
        bne     @word
@count: lda     player_up
        clc
        adc     #1
        jmp     put_number
@alone: rts

press:  jsr     echoes
        at      text_press
        jmp     coins

two_credits:
        at      text_two
        jmp     coins

; --- the logo, and its echoes down the tube
logo:   jsr     echoes
        at      text_what
        jmp     coins

ECHOES          = 7

echoes: lda     #ECHOES
        sta     slot
@echo:  room
        emit    CENTRE
        lda     frame           ; each grows until the next takes its place
        asl
        asl
        and     #31
        sta     t2
        lda     slot
        asl
        asl
        asl
        asl
        asl
        eor     #$FF
        clc
        adc     t2
        bcc     @small
        lda     #$FF
@small: jsr     emit_size
        lda     slot
        and     #3
        tax
        lda     echo_colours,x
        sta     hue
        emit_hue
        emit    CALL_LOGO
        dec     slot
        bne     @echo
        emit    CENTRE
        emit    FULL_SIZE
        emit    STAT_COLOUR | YELLOW
        emit    CALL_LOGO
        rts

echo_colours:
        .byte   BLUE, CYAN, GREEN, RED

; --- the service screen: what the inputs read
service:
        at      text_test
        lda     #3
        sta     slot
@next:  ldx     slot
        lda     service_low,x
        pha
        lda     service_high,x
        tax
        pla
        jsr     print
        ldx     slot
        lda     service_y,x
        sta     py
        lda     service_y_high,x
        sta     py+1
        lda     #100
        sta     px
        lda     #0
        sta     px+1
        lda     #<HALF_SIZE
        sta     num
        lda     #>HALF_SIZE
        sta     num+1
        lda     #WHITE
        sta     hue
        jsr     begin_text
        ldx     slot
        bne     @switches
        lda     inputs
        jmp     @show
@switches:
        dex
        bne     @second
        lda     switches1
        jmp     @show
@second:
        dex
        bne     @buttons
        lda     switches2
        jmp     @show
@buttons:
        lda     held
@show:  jsr     put_bits
        dec     slot
        bpl     @next
        rts

; The eight bits of A.
put_bits:
        sta     t2
        lda     #8
        sta     t3
@bit:   lda     #'0'
        asl     t2
        adc     #0
        jsr     put_letter
        dec     t3
        bne     @bit
        rts

service_low:
        .byte   <text_inputs, <text_switch1, <text_switch2, <text_buttons
service_high:
        .byte   >text_inputs, >text_switch1, >text_switch2, >text_buttons
service_y:
        .byte   <80, <40, <0, <(-40)
service_y_high:
        .byte   0, 0, 0, >(-40)

text_choose:
        centred 240, HALF_SIZE, WHITE, "CHOOSE YOUR LEVEL"
text_level:
        centred -66, HALF_SIZE, GREEN, "LEVEL"
text_worth:
        centred -118, HALF_SIZE, GREEN, "BONUS"
text_turn:
        centred -200, HALF_SIZE, GREEN, "TURN KNOB - FIRE TO START"
text_scores:
        centred 190, FULL_SIZE, RED, "HIGH SCORES"
text_coin:
        centred -255, HALF_SIZE, WHITE, "INSERT COIN"
text_free:
        centred -255, HALF_SIZE, GREEN, "FREE PLAY"
text_credits:
        .byte   "CREDITS ", $FF
text_player:
        .byte   "PLAYER ", $FF
text_enter:
        centred 230, FULL_SIZE, CYAN, "YOUR INITIALS"
text_how:
        centred -240, HALF_SIZE, GREEN, "TURN KNOB - FIRE ACCEPTS"
text_great:
        centred 160, FULL_SIZE, WHITE, "GREAT SCORE"
text_over:
        centred 0, FULL_SIZE, RED, "GAME OVER"
text_next:
        centred 0, FULL_SIZE, CYAN, "NEXT PLAYER"
text_press:
        centred -120, FULL_SIZE, WHITE, "PRESS START"
text_two:
        centred 0, HALF_SIZE, RED, "TWO CREDITS MINIMUM"
text_what:
        centred -120, HALF_SIZE, WHITE, "A FREE GAME"
text_test:
        centred 200, FULL_SIZE, WHITE, "SELF TEST"
text_inputs:
        text    -150, 80, HALF_SIZE, CYAN, "INPUTS"
text_switch1:
        text    -150, 40, HALF_SIZE, CYAN, "SWITCHES 1"
text_switch2:
        text    -150, 0, HALF_SIZE, CYAN, "SWITCHES 2"
text_buttons:
        text    -150, -40, HALF_SIZE, CYAN, "BUTTONS"
place_seconds:
        text    -24, 200, FULL_SIZE, YELLOW, ""
place_letters:
        text    -48, 150, FULL_SIZE, WHITE, ""
place_player:
        text    -72, -40, HALF_SIZE, WHITE, ""
place_credits:
        text    -80, -255, HALF_SIZE, GREEN, ""
