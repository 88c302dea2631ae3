; The interrupt, 246 times a second: watchdog, knob, buttons, coins, sound, clocks (ARCADE B.4).

.include "hardware.inc"
.include "ram.inc"

.export irq, nmi
.import sound_tick, coin_tick, clock_tick, reset_again

.segment "CODE"

irq:
        pha
        txa
        pha
        tya
        pha
        cld
        sta     IRQ_CLEAR
        inc     irq_count
        bmi     @hung
        inc     irq_total
        bne     @knob
        jsr     clock_tick
@knob:  lda     KNOB
        and     #$0F
        cmp     knob_before
        beq     @still
        tay
        sec
        sbc     knob_before
        and     #$0F
        cmp     #8
        bcc     @turn
        ora     #$F0
@turn:  clc
        adc     spinner
        sta     spinner
        sty     knob_before
@still: lda     BUTTONS
        and     #$78
        cmp     raw_buttons
        bne     @mixed
        cmp     held
        bne     @new
@coins: sta     SCAN_1          ; the next scan of both POKEYs
        sta     SCAN_2
        lda     INPUTS
        sta     inputs
        eor     #$0F            ; coins and tilt are active low
        and     #$0F
        ora     coin_busy
        beq     @vector
        jsr     coin_tick
@vector:
        bit     inputs
        bvc     @sound
        sta     VECTOR_GO       ; its list has ended
@sound: jsr     sound_tick
        pla
        tay
        pla
        tax
        pla
        rti

@mixed: tax                     ; some buttons differ from the last sample: only the others count
        eor     raw_buttons
        eor     #$FF
        stx     raw_buttons
        sta     irq_work
        txa
        eor     held
        and     irq_work
        eor     held
@new:   tax                     ; the new level of all buttons
        lda     held
        sta     held_before
        eor     #$FF
        stx     held
        and     held            ; pressed just now
        ora     pressed
        sta     pressed
        jmp     @coins

@hung:  jmp     reset_again

nmi:    rti
