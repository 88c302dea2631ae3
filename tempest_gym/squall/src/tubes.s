; The tube: geometry in RAM, its vectors in vector RAM, its picture.

.include "ram.inc"
.include "draw.inc"

.export tube_load, draw_tube, draw_spikes, no_spike, tube_list_low, tube_list_high
.import flush, scale_of, scale_number, spoke_blank, spoke_drawn, middle_blank, middle_drawn
.import tube_x, tube_y, tube_angle, tube_open, tube_eye_x, tube_eye_y, tube_shrink

eye_x           = $5E
eye_y           = $60
middle_x        = $0435
middle_y        = $0445

.segment "DRAW"

; A = shape 0-15.
tube_load:
        sta     shape
        tax
        lda     tube_open,x
        sta     open_tube
        lda     tube_eye_x,x
        sta     eye_x
        lda     tube_eye_y,x
        sta     eye_y
        lda     #<(-24)
        sta     eye_rest
        txa
        asl
        asl
        asl
        asl
        tax
        ldy     #0
@copy:  lda     tube_x,x
        sta     spoke_x,y
        lda     tube_y,x
        sta     spoke_y,y
        lda     tube_angle,x
        sta     angle,y
        lda     tube_shrink,x
        sta     lane_shrink,y
        inx
        iny
        cpy     #16
        bne     @copy
        ldx     #15
@mid:   txa
        clc
        adc     #1
        and     #15
        tay
        lda     spoke_x,x
        clc
        adc     spoke_x,y
        ror
        sta     middle_x,x
        lda     spoke_y,x
        clc
        adc     spoke_y,y
        ror
        sta     middle_y,x
        dex
        bpl     @mid
        lda     open_tube
        beq     @joined
        lda     spoke_x+15      ; nothing joins spokes 15 and 0
        sta     middle_x+15
        lda     spoke_y+15
        sta     middle_y+15
@joined:
        lda     #$FF
        sta     tube_dirty
        sta     tube_dirty+1
        sta     spikes_dirty
        ; falls through

; The subroutines in vector RAM: to the vanishing point, along spokes and middles, the outline.
load_vectors:
        lda     #<HOME
        sta     dl
        lda     #>HOME
        sta     dl+1
        ldy     #0
        emit    CENTRE
        emit    HALF_SIZE
        lda     eye_x
        ldx     #128
        jsr     base_x
        lda     eye_y
        ldx     #128
        jsr     base_y
        lda     #0
        jsr     emit_base
        emit    RETURN
        emit    0
        emit    0
        emit    RETURN          ; NOTHING
        jsr     flush
        ldx     #0
@middle:
        stx     slot
        lda     middle_x,x
        ldx     eye_x
        jsr     base_x
        ldx     slot
        lda     middle_y,x
        jsr     both_vectors
        bcc     @middle
        lda     #<SPOKE_BLANK
        sta     dl
        lda     #>SPOKE_BLANK
        sta     dl+1
        ldx     #0
@spoke: stx     slot
        lda     spoke_x,x
        ldx     eye_x
        jsr     base_x
        ldx     slot
        lda     spoke_y,x
        jsr     both_vectors
        bcc     @spoke
        lda     #<OUTLINE
        sta     dl
        lda     #>OUTLINE
        sta     dl+1
        jmp     load_outline

DRAWN           = SPOKE_DRAWN - SPOKE_BLANK
.assert MIDDLE_DRAWN - MIDDLE_BLANK = DRAWN, error, "drawn vectors stand at the same distance from blank ones"

; The blank vector by bx and the y in A, and the drawn one. X = next slot, carry set after the last.
both_vectors:
        ldx     eye_y
        jsr     base_y
        ldy     #0
        tya
        jsr     emit_base
        emit    RETURN
        ldy     #DRAWN
        lda     #$20
        jsr     emit_base
        emit    RETURN
        ldy     #6
        jsr     flush
        ldx     slot
        inx
        cpx     #16
        rts

; bx = (A - X) * 4.5
base_x: jsr     difference
        lda     num+1           ; half
        cmp     #$80
        ror
        sta     bx+1
        lda     num
        ror
        sta     bx
        asl     num             ; 4 times
        rol     num+1
        asl     num
        rol     num+1
        clc
        lda     num
        adc     bx
        sta     bx
        lda     num+1
        adc     bx+1
        sta     bx+1
        rts

; by = (A - X) * 3.4375 = 3 1/2 - 1/16
base_y: jsr     difference
        lda     num
        sta     by
        lda     num+1
        sta     by+1
        ldx     #3              ; 7 times
@times: asl     num
        rol     num+1
        dex
        bne     @times
        sec
        lda     num
        sbc     by
        sta     num
        lda     num+1
        sbc     by+1
        cmp     #$80            ; half of that
        ror
        sta     num+1
        ror     num
        ldx     #4              ; a sixteenth
@part:  lda     by+1
        cmp     #$80
        ror     by+1
        ror     by
        dex
        bne     @part
        sec
        lda     num
        sbc     by
        sta     by
        lda     num+1
        sbc     by+1
        sta     by+1
        rts

; num = A - X, signed
difference:
        stx     num
        sec
        sbc     num
        sta     num
        lda     #0
        sbc     #0
        sta     num+1
        rts

; VCTR by bx, by; A = brightness << 5
emit_base:
        sta     t1
        lda     by
        sta     (dl),y
        iny
        lda     by+1
        and     #$1F
        sta     (dl),y
        iny
        lda     bx
        sta     (dl),y
        iny
        lda     bx+1
        and     #$1F
        ora     t1
        sta     (dl),y
        iny
        rts

; The outline: lines from spoke to spoke, as far as they are joined. (dl) is at OUTLINE.
load_outline:
        lda     #<SPOKE_BLANK
        sta     text_at
        lda     #>SPOKE_BLANK
        sta     text_at+1
        ldy     #0
        ldx     #0
@edge:  stx     slot
        sty     t0
        txa
        jsr     read_spoke      ; from
        lda     num
        sta     ax
        lda     num+1
        sta     ax+1
        lda     by
        sta     ay
        lda     by+1
        sta     ay+1
        lda     slot
        clc
        adc     #1
        and     #15
        jsr     read_spoke      ; to
        sec
        lda     num
        sbc     ax
        sta     bx
        lda     num+1
        sbc     ax+1
        sta     bx+1
        sec
        lda     by
        sbc     ay
        sta     by
        lda     by+1
        sbc     ay+1
        sta     by+1
        ldy     t0
        lda     #$20
        jsr     emit_base
        ldx     slot
        inx
        cpx     #15
        bcc     @edge
        bne     @done
        bit     open_tube
        bpl     @edge
@done:  emit    RETURN
        rts

; num, by = vector of spoke A as in vector RAM
read_spoke:
        sta     t1
        asl
        clc
        adc     t1
        asl
        tay
        lda     (text_at),y
        sta     by
        iny
        lda     (text_at),y
        sta     by+1
        iny
        lda     (text_at),y
        sta     num
        iny
        lda     (text_at),y
        sta     num+1
        rts

keep:   jsr     flush
        lda     dl
        sta     ax
        lda     dl+1
        sta     ax+1
        rts

; Clients written for the arcade's program write two NOPs here in each frame.
        .res    1, $EA
client_patch:
        .res    2, $EA
        .assert client_patch = $A591, lderror, "the client's two NOPs go to $A591"

; Calls the tube's picture, which is rebuilt when the view has moved. Leaves X = back.
draw_tube:
        ldx     back
        lda     tube_dirty,x
        beq     @ready
        jsr     flush
        lda     dl
        pha
        lda     dl+1
        pha
        jsr     build_tube
        pla
        sta     dl+1
        pla
        sta     dl
        ldy     #0
@ready: lda     #<CALL_TUBE_A
        cpx     #0
        beq     @a
        lda     #<CALL_TUBE_B
@a:     sta     (dl),y
        iny
        lda     #>CALL_TUBE_A
        .assert >CALL_TUBE_A = >CALL_TUBE_B, error
        sta     (dl),y
        iny
        rts

; New scales in the list of the buffer that is being built.
build_tube:
        ldx     back
        lda     #0
        sta     tube_dirty,x
        lda     tube_list_low,x
        sta     dl
        lda     tube_list_high,x
        sta     dl+1
        ldy     #2
        lda     far_word
        sta     (dl),y
        iny
        lda     far_word+1
        sta     (dl),y
        ldy     #10
        lda     rim_word
        sta     (dl),y
        iny
        lda     rim_word+1
        sta     (dl),y
        ldy     #14
        lda     #<CALL_OUTLINE
        bit     rim_hidden
        bpl     @rim
        lda     #<CALL_NOTHING
@rim:   sta     (dl),y
        ldy     #18
@spoke: lda     far_word
        sta     (dl),y
        iny
        lda     far_word+1
        sta     (dl),y
        iny
        iny
        iny
        lda     span_word
        sta     (dl),y
        iny
        lda     span_word+1
        sta     (dl),y
        tya
        clc
        adc     #5
        tay
        cpy     #178
        bcc     @spoke
        rts

tube_list_low:
        .byte   <TUBE_A, <TUBE_B
tube_list_high:
        .byte   >TUBE_A, >TUBE_B

; Calls the spikes; those whose tips have moved are changed in place, every other frame.
draw_spikes:
        emit    CALL_SPIKES
        bit     spikes_dirty
        bmi     @all
        lda     frame
        lsr
        bcs     @done
        ldx     #15
@look:  lda     spike,x
        cmp     spike_drawn,x
        bne     @some
        dex
        bpl     @look
@done:  rts
@all:   jsr     keep
        ldx     #15
@each:  lda     spike,x
        ora     spike_drawn,x
        beq     @none           ; as before
        jsr     build_spike
@none:  dex
        bpl     @each
        lda     #0
        sta     spikes_dirty
        jmp     restore
@some:  stx     slot
        jsr     keep
        ldx     slot
@next:  lda     spike,x
        cmp     spike_drawn,x
        beq     @same
        jsr     build_spike
@same:  dex
        bpl     @next
restore:
        lda     ax
        sta     dl
        lda     ax+1
        sta     dl+1
        ldy     #0
        rts

        .res    6, $EA          ; what follows stays where it was: its time depends on where its tables lie

; The ten bytes of lane X's spike. Keeps X.
no_spike:
        lda     #0
        beq     set_spike
build_spike:
        lda     spike,x
set_spike:
        stx     slot
        sta     spike_drawn,x
        pha
        txa                     ; SPIKES + 10 * X
        asl
        asl
        adc     slot
        asl
        adc     #<SPIKES
        sta     dl
        lda     #>SPIKES
        adc     #0
        sta     dl+1
        ldy     #0
        pla
        beq     @none
        cmp     #FAR
        bcs     @none
        jsr     scale_number
        bcs     @close
        lda     num+1           ; no nearer than the tube's own lines
        cmp     near_num+1
        bcc     @span
        bit     rim_hidden
        bpl     @span
@close: lda     near_num
        sta     num
        lda     near_num+1
        sta     num+1
@span:  sec
        lda     num
        sbc     far_num
        sta     num
        lda     num+1
        sbc     far_num+1
        sta     num+1
        bcc     @none
        jsr     scale_of
        ldx     slot
        emit    CALL_HOME
        emit_word far_word
        emit_lane middle_blank
        emit_word word
        emit_lane middle_drawn
        rts
@none:  clc                     ; on to the next lane
        lda     dl
        adc     #10
        sta     word
        lda     dl+1
        adc     #0
        and     #$0F
        lsr
        ror     word
        ora     #>JUMP_START
        ldy     #1              ; the high byte first: with it, the old low byte leads to HOME and from there back
        sta     (dl),y
        dey
        lda     word
        sta     (dl),y
        ldx     slot
        rts
