; Coins, credits, start buttons, option switches, clocks (ARCADE A.1; HARDWARE 1).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export coin_tick, clock_tick, credit_step, read_switches
.import sound_play, delay_to

COIN_LOW        = 5             ; samples of 4 ms that make a coin
COUNTER_PULSE   = 24
SLAM_TIME       = 240

.segment "RODATA"

slot_mask:      .byte 4, 2, 1           ; coin 1, 2, 3 in INPUTS
right_value:    .byte 1, 4, 5, 6
bonus_every:    .byte 0, 2, 4, 4, 5, 3, 0, 0
bonus_gives:    .byte 0, 1, 1, 2, 1, 1, 0, 0
lives_by_dip:   .byte 3, 4, 5, 2
bonus_by_dip:   .byte 2, 1, 3, 4, 5, 6, 7, 0

.segment "CODE"

; Interrupt: times coins and coin counters while anything of that is going on. Clobbers A, X, Y.
coin_tick:
        lda     #0
        sta     coin_busy
        lda     inputs
        and     #8
        bne     @calm
        lda     #SLAM_TIME
        sta     slam_timer
@calm:  lda     slam_timer
        beq     @slots
        dec     slam_timer
        inc     coin_busy
        rts                     ; no coins while the cabinet is being hit
@slots: ldx     #2
@slot:  lda     coin_pulse,x
        beq     @input
        dec     coin_pulse,x
        inc     coin_busy
@input: lda     inputs
        and     slot_mask,x
        bne     @up
        inc     coin_busy
        lda     coin_debounce,x
        cmp     #COIN_LOW+1
        bcs     @next           ; counted already
        adc     #1
        sta     coin_debounce,x
        cmp     #COIN_LOW
        bne     @next
        inc     coin_debounce,x
        jsr     coin_in
        jmp     @next
@up:    lda     #0
        sta     coin_debounce,x
@next:  dex
        bpl     @slot
        lda     #$10            ; coin counters
        ldx     #2
@count: ldy     coin_pulse,x
        beq     @rest
        ora     slot_mask,x
@rest:  dex
        bpl     @count
        sta     OUTPUTS
        rts

; A coin in slot X. Keeps X.
coin_in:
        lda     #COUNTER_PULSE
        sta     coin_pulse,x
        lda     switches1
        cpx     #0
        bne     @right
        ldy     #1              ; left slot: 1 or 2
        and     #$10
        beq     @worth
        iny
        bne     @worth
@right: ldy     #1
        cpx     #2
        bne     @worth          ; the middle slot counts 1
        lsr
        lsr
        and     #3
        tay
        lda     right_value,y
        tay
@worth: tya
        clc
        adc     loose_coins
        sta     loose_coins
        tya
        adc     bonus_coins
        sta     bonus_coins
        lda     switches1
        lsr
        lsr
        lsr
        lsr
        lsr
        tay
        lda     bonus_every,y
        beq     @buy
        sta     coin_work
        lda     bonus_coins
        cmp     coin_work
        bcc     @buy
        sbc     coin_work
        sta     bonus_coins
        lda     bonus_gives,y
        sta     extra_coins
        clc
        adc     loose_coins
        sta     loose_coins
@buy:   lda     switches1
        eor     #2              ; back to the switch: 0 = 1:1, 1 = 2 coins 1 credit, 3 = 1 coin 2 credits
        and     #3
        tay
        lda     loose_coins
        cpy     #1
        beq     @half
        cpy     #3
        bne     @add
        asl
@add:   ldy     #0
        beq     @credit
@half:  lsr
        ldy     #0
        bcc     @credit
        iny
@credit:
        sty     loose_coins
        clc
        adc     credits
        cmp     #41
        bcc     @cap
        lda     #40
@cap:   sta     credits
        lda     #SND_COIN
        jmp     sound_play

; Interrupt: every 256 of them the clocks advance (24 bits each).
clock_tick:
        ldx     #0
        jsr     @count
        bit     mode
        bpl     @done
        ldx     #3
@count: inc     on_time,x
        bne     @done
        inc     on_time+1,x
        bne     @done
        inc     on_time+2,x
@done:  rts

; Option switches into RAM. Clobbers A, X.
read_switches:
        lda     SWITCHES_1
        eor     #2
        sta     switches1
        lda     SWITCHES_2
        sta     switches2
        asl
        rol
        rol
        and     #3
        tax
        lda     lives_by_dip,x
        sta     start_lives
        lda     switches2
        lsr
        lsr
        lsr
        and     #7
        tax
        lda     bonus_by_dip,x
        sta     bonus_step
        lda     BUTTONS
        and     #7
        sta     difficulty
        rts

; Main loop, after the state: test switch, free play, start buttons, the press-start screen. Clobbers all.
credit_step:
        lda     inputs
        and     #$10
        bne     @play
        lda     state
        cmp     #STATE_SERVICE
        beq     @out
        lda     #0
        sta     mode
        lda     #STATE_SERVICE
        sta     state
@out:   rts
@play:  lda     switches1
        and     #3
        bne     @paid
        lda     #2              ; free play
        sta     credits
@paid:  bit     mode
        bvs     @out            ; a game is on
        jsr     lamps
        ldx     credits
        beq     @broke
        lda     pressed
        and     #BUTTON_START1 | BUTTON_START2
        bne     @start
        jmp     knob_wakes
@broke: lda     pressed
        and     #<~(BUTTON_START1 | BUTTON_START2)
        sta     pressed
        rts
@start: lda     switches2       ; "two credits minimum" refuses a lone one
        and     #1
        beq     @enough
        cpx     #2
        bcs     @enough
        lda     #SCREEN_CREDITS
        bne     show_start
@enough:
        ldy     #0
        lda     pressed
        and     #BUTTON_START1
        bne     @one
        iny
        cpx     #2
        bcc     @broke
        dec     credits
@one:   dec     credits
        sty     two_players
        lda     #$C0
        sta     mode
        lda     #STATE_START
        sta     state
        sta     player_up
        sta     player_next
        sta     pressed
        sta     delay_mask
        lda     #3
        sta     LEDS
        ldx     #0
        tya
        beq     @single
        ldx     #3
@single:
        inc     games_one,x
        bne     @sound
        inc     games_one+1,x
@sound: lda     #SND_START
        jmp     sound_play

; A turned knob asks for the press-start screen.
knob_wakes:
        bit     mode
        bmi     @no             ; initials are being entered
        lda     screen
        cmp     #SCREEN_START
        beq     @no
        lda     spinner
        clc
        adc     #3
        cmp     #7              ; within -3..+3: no player
        bcc     @no
        lda     #SCREEN_START
        bne     show_start
@no:    rts

show_start:                     ; A = screen; shown for 32 frames, then the high scores
        sta     screen
        lda     #0
        sta     spinner
        sta     delay_mask
        lda     #32
        ldx     #STATE_ATTRACT
        jmp     delay_to

; Start lamps blink while credits wait.
lamps:  ldx     credits
        lda     frame
        and     #8
        beq     @dark
        lda     #2              ; active low
        cpx     #2
        bcc     @one
        lda     #0
@one:   cpx     #1
        bcs     @set
@dark:  lda     #3
@set:   sta     led_shadow
        sta     LEDS
        rts
