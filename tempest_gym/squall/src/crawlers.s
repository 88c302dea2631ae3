; Tankers, straight flippers, spikers (ARCADE C.3, C.5). X is the slot, kept by all.

.include "hardware.inc"
.include "ram.inc"

.export go_straight, go_spiker
.import advance, retreat, climb, split_tanker

NEAR            = $20           ; tankers open and spikers turn above this
FAR_MARK        = $F2
CARGO_FLIPPERS  = 1

.segment "CODE"

; Straight up every frame; a tanker opens near the rim.
go_straight:
        lda     e_type,x
        and     #7
        cmp     #TANKER
        beq     @tanker
        jmp     climb
@tanker:
        jsr     advance
        lda     e_depth,x
        cmp     #NEAR
        bcs     @out
        jmp     split_tanker
@out:   rts

; Up, drawing out the spike; back; at the far end to another lane.
go_spiker:
        lda     e_flags,x
        bmi     @away
        jsr     advance
        lda     e_depth,x
        cmp     #NEAR
        bcs     @grow
        lda     #0
        sta     e_fraction,x
        lda     e_flags,x
        ora     #$80
        sta     e_flags,x
        lda     #NEAR
        sta     e_depth,x
@grow:  ldy     e_lane,x
        lda     spike,y
        beq     @longer
        cmp     e_depth,x
        bcc     @out
@longer:
        lda     e_depth,x
        sta     spike,y
        lda     #$80
        sta     spike_redraw,y
@out:   rts
@away:  lda     e_depth,x
        cmp     #FAR_MARK
        beq     @hop
        jsr     retreat
        lda     e_depth,x
        cmp     #FAR
        bcc     @out
        lda     #FAR_MARK       ; hit the far end
        sta     e_depth,x
        rts
@hop:   lda     #FAR
        sta     e_depth,x
        lda     e_flags,x
        and     #$7F
        sta     e_flags,x
        jsr     shortest_spike
        sta     e_lane,x
        clc
        adc     #1
        and     #15
        sta     e_edge,x
        lda     pending
        bne     @out
        lda     e_type,x        ; the last ones become tankers
        and     #$F8
        ora     #TANKER
        sta     e_type,x
        lda     e_flags,x
        ora     #CARGO_FLIPPERS
        sta     e_flags,x
        lda     #GO_STRAIGHT
        sta     e_program,x
        dec     type_live+SPIKER
        inc     type_live+TANKER
        rts

; Lane with the shortest spike in A (none counts as shortest); looks round from a random lane. Keeps X.
shortest_spike:
        stx     tmp_x
        lda     RANDOM_1
        and     #15
        tay
        lda     #0
        sta     cheapest        ; the farthest tip so far; tips are taken -1, so that none becomes $FF
        ldx     #15
@lane:  cpy     #15
        bne     @usable
        lda     open_tube
        bne     @next
@usable:
        lda     spike,y
        sec
        sbc     #1
        cmp     cheapest
        bcc     @next
        beq     @next
        sta     cheapest
        sty     tmp_lane
@next:  iny
        tya
        and     #15
        tay
        dex
        bpl     @lane
        ldx     tmp_x
        lda     tmp_lane
        rts
