; Reset, the main loop and the table of game states (ARCADE A.2, B.2, B.3).

.include "hardware.inc"
.include "ram.inc"

.import irq, nmi, draw_init, draw_frame, sound_init
.import read_switches, earom_load, earom_step, list_init, credit_step, stars_step
.import st_start, st_load, st_play, st_life, st_end, st_delay, st_next, st_over, st_initials
.import st_attract, st_select, st_zoom, st_logo, st_select2, st_pause, st_descent, st_service, st_sparkle

.segment "VECTORS"
        .word   nmi
        .word   reset
        .word   irq

.segment "RODATA"

        .byte   "SQUALL"        ; the game's name, to be found in the ROM

handlers:                       ; by game state; a state is entered by RTS
        .word   st_start-1, st_load-1, st_play-1, st_life-1, st_end-1, st_delay-1, st_none-1
        .word   st_next-1, st_over-1, st_initials-1, st_attract-1, st_select-1, st_zoom-1
        .word   st_logo-1, st_select2-1, st_pause-1, st_descent-1, st_service-1, st_sparkle-1

.segment "CODE"

reset:
        sei
        cld
        sta     IRQ_CLEAR
        ldx     #$FF
        txs
        inx
        txa
@clear: sta     $00,x
        sta     $0100,x
        sta     $0200,x
        sta     $0300,x
        sta     $0400,x
        sta     $0500,x
        sta     $0600,x
        sta     $0700,x
        inx
        bne     @clear
        sta     IRQ_CLEAR
        lda     #$10            ; +y is up
        sta     OUTPUTS
        lda     #3
        sta     LEDS
        sta     led_shadow
        jsr     sound_init
        sta     SCAN_1
        sta     SCAN_2
        lda     #SLOTS-1
        sta     slot_top
        jsr     read_switches
        jsr     list_init
        jsr     earom_load
        jsr     draw_init
        lda     KNOB
        and     #$0F
        sta     knob_before
        lda     #STATE_ATTRACT
        sta     state
        sta     IRQ_CLEAR
        cli

main:   lda     irq_count       ; the idle loop: reads RAM and nothing else
        cmp     #9
        bcc     main
        lda     #0
        sta     irq_count
        jsr     stars_step
        sei
        lda     pressed
        ora     #$80
        sta     pressed
        cli
        jsr     run_state
        jsr     credit_step
        inc     frame           ; the bridge point
        lda     frame
        lsr
        bcc     @even
        jsr     earom_step
@even:  sei
        lda     pressed
        bpl     @used
        lda     #0
        sta     pressed
@used:  cli
        jsr     draw_frame
        jmp     main

run_state:
        ldx     state
        lda     handlers+1,x
        pha
        lda     handlers,x
        pha
st_none:
        rts
