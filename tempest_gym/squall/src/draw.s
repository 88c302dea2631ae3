; Display lists.

.export draw_init, draw_frame, tube_load, colour_load

.segment "DRAW"

draw_init:
        lda     #$00            ; JMPL 0: nothing but the endless loop
        sta     $2000
        lda     #$E0
        sta     $2001
        rts

draw_frame:
        rts

tube_load:                      ; A = shape
        sta     $0112
        lda     #0
        sta     $0111
        rts

colour_load:
        rts
