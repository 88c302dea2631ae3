; The display list of each frame: buffers, projection, which screen is drawn.

.include "ram.inc"
.include "hardware.inc"
.include "draw.inc"

.export draw_init, draw_frame, flush, project, scale_of, emit_place, emit_size
.export middle_blank, middle_drawn, spoke_blank, spoke_drawn
.import near_scale_low, near_scale_high, near_low, near_high, near_size, far_low, far_high, far_size
.import size_scale_low, size_scale_high
.import tube_load, colour_load, lists_init, status_init, draw_play, draw_screen, screen_still

VECTOR_RESET = $5800

.segment "DRAW"

middle_blank:
.repeat 16, i
        .byte   <(call (MIDDLE_BLANK + 6 * i))
.endrepeat
middle_drawn:
.repeat 16, i
        .byte   <(call (MIDDLE_DRAWN + 6 * i))
.endrepeat
spoke_blank:
.repeat 16, i
        .byte   <(call (SPOKE_BLANK + 6 * i))
.endrepeat
spoke_drawn:
.repeat 16, i
        .byte   <(call (SPOKE_DRAWN + 6 * i))
.endrepeat

; At reset: an empty list in the endless loop, and the generator on.
draw_init:
        sta     VECTOR_RESET
        ldx     #2 * PAUSES - 1
@pause: lda     #>LONG_PAUSE
        sta     PAUSE,x
        dex
        lda     #<LONG_PAUSE
        sta     PAUSE,x
        dex
        bpl     @pause
        lda     #<(LIST_JUMP LIST_A)
        sta     SHOW
        lda     #>(LIST_JUMP LIST_A)
        sta     SHOW+1
        lda     #<JUMP_START
        sta     LIST_A
        sta     back
        lda     #>JUMP_START
        sta     LIST_A+1
        jsr     colour_load
        jsr     lists_init
        jsr     status_init
        lda     #0
        jsr     tube_load
        sta     VECTOR_GO
        rts

; Builds the list of screen $01 in the buffer that is not shown, then shows it; unless the generator may still be in
; that buffer, after a late frame.
draw_frame:
        sec
        lda     irq_total
        sbc     shown_at
        cmp     #LIST_TIME
        bcc     @out
        jsr     screen_still
        bcc     @draw
@out:   rts
@draw:  lda     back
        eor     #1
        sta     back
        beq     @a
        lda     #>LIST_B
        bne     @list
@a:     lda     #>LIST_A
@list:  sta     dl+1
        lda     #<LIST_A        ; same in both
        sta     dl
        jsr     set_view
        ldy     #0
        emit    STAT_BRIGHT | $C0
        lda     screen
        beq     @play
        jsr     draw_screen
        jmp     @end
@play:  jsr     draw_play
@end:   emit    JUMP_START
        lda     #>(LIST_JUMP LIST_A)
        ldx     back
        beq     @show
        lda     #>(LIST_JUMP LIST_B)
@show:  sta     SHOW+1
        lda     irq_total
        sta     shown_at
        inc     frames_drawn
        rts

; view = -eye - NEAREST; when it moves, tube and spikes are stale.
set_view:
        sec
        lda     #<(-NEAREST)
        sbc     eye_low
        sta     view
        lda     #>(-NEAREST)
        sbc     eye_high
        sta     view+1
        cmp     view_before+1
        bne     @moved
        lda     view
        cmp     view_before
        beq     @same
@moved: lda     view
        sta     view_before
        lda     view+1
        sta     view_before+1
        lda     #$FF
        sta     tube_dirty
        sta     tube_dirty+1
        sta     spikes_dirty
        sta     lane_dirty
        lda     #FAR            ; the far end
        jsr     scale_number
        lda     num
        sta     far_num
        lda     num+1
        sta     far_num+1
        jsr     scale_of
        lda     word
        sta     far_word
        lda     word+1
        sta     far_word+1
        lda     #0              ; the rim, or what of it is before the eye
        sta     rim_hidden
        lda     #RIM
        jsr     scale_near
        lda     num
        sta     near_num
        lda     num+1
        sta     near_num+1
        jsr     scale_of
        lda     word
        sta     rim_word
        lda     word+1
        sta     rim_word+1
        sec
        lda     near_num
        sbc     far_num
        sta     num
        lda     near_num+1
        sbc     far_num+1
        sta     num+1
        jsr     scale_of
        lda     word
        sta     span_word
        lda     word+1
        sta     span_word+1
@same:  rts

; num = scale number of depth A, at most that of NEAR_CLIP; then rim_hidden b7 is set.
scale_near:
        clc
        adc     view
        tax
        lda     #0
        adc     view+1
        bmi     @clip
        bne     far_number
        cpx     #NEAR_CLIP - NEAREST
        bcs     near_number
@clip:  lda     #$80
        sta     rim_hidden
        ldx     #NEAR_CLIP - NEAREST
        bne     near_number

; num = scale number of depth A. Does not change Y.
.export scale_number
scale_number:
        clc
        adc     view
        tax
        lda     #0
        adc     view+1
        bmi     hidden_number
        bne     far_number
near_number:
        lda     near_low,x
        sta     num
        lda     near_high,x
        sta     num+1
        clc
        rts
far_number:
        jsr     far_index
        lda     far_low,x
        sta     num
        lda     far_high,x
        sta     num+1
        clc
        rts
hidden_number:
        sec
        rts

; A:X = distance - NEAREST -> X = index of the far tables
far_index:
        stx     t0
        lsr
        ror     t0
        lsr
        ror     t0
        lsr
        ror     t0
        ldx     t0
        cmp     #0
        beq     @near
        ldx     #$FF
@near:  rts

; word = SCAL word of the 16-bit fraction num. Does not change Y.
scale_of:
        ldx     #0
        lda     num+1
        bmi     @done
@shift: asl     num
        rol
        inx
        cpx     #7
        beq     @done
        cmp     #$80
        bcc     @shift
@done:  eor     #$FF
        sta     word
        txa
        ora     #$70
        sta     word+1
        rts

; place and size of depth A. Carry set: behind the eye. Does not change Y.
project:
        clc
        adc     view
        tax
        lda     #0
        adc     view+1
        bne     @far
        lda     near_scale_low,x
        sta     place
        lda     near_scale_high,x
        sta     place+1
        lda     near_size,x
        sta     size
        clc
        rts
@far:   bmi     hidden_number
        jsr     far_index
        lda     far_size,x
        sta     size
        lda     far_low,x
        sta     num
        lda     far_high,x
        sta     num+1
        jsr     scale_of
        lda     word
        sta     place
        lda     word+1
        sta     place+1
        clc
        rts

; Beam to the vanishing point, scale for a place at the projected depth.
emit_place:
        emit    CALL_HOME
        emit_word place
        rts

; SCAL for size code A.
emit_size:
        tax
        lda     size_scale_low,x
        sta     (dl),y
        iny
        lda     size_scale_high,x
        sta     (dl),y
        iny
        rts

; dl += Y, Y = 0
flush:  clc
        tya
        adc     dl
        sta     dl
        bcc     @same
        inc     dl+1
@same:  ldy     #0
        rts
