; A level's parameters, and its beginning (ARCADE A.9, C.6, C.8). Comments give levels as the player sees them.

.include "hardware.inc"
.include "ram.inc"

.export level_params, level_fresh, level_begin
.import level_speed, level_wave, level_hold, place_program, place_spikes, place_shape, range_first, range_fields
.import tube_load, colour_load, clear_enemies, clear_shots, nymphs_fill

RANGE_COUNT     = 16
FIELDS          = 11
EASY            = 1
HARD            = 2
PULSAR_SPEED    = <-352         ; -1.375, in 1/256
PULSAR_SPEED_HI = >-352
SPIKER_EXTRA    = 40            ; 1/32, from level 21; 48 from 49
WAVE_MOST       = 63
LAST            = 98

.segment "CODE"

; Tube, colours and parameters of `level`. Level 99 draws its shape and the level whose parameters it uses.
; Clobbers all.
level_params:
        lda     level
        sta     param_level
        and     #15
        tay
        lda     place_shape,y
        ldy     level
        cpy     #LAST
        bne     @known
        lda     RANDOM_1
        and     #31
        ora     #64             ; 65-96
        sta     param_level
        lda     RANDOM_2
        and     #15
@known: jsr     tube_load
        jsr     colour_load
        jsr     easy_or_hard
        jsr     set_speeds
        jsr     set_crowd
        jmp     set_habits

; difficulty bits -> new_high: 0 medium, 1 easy, 2 hard.
easy_or_hard:
        lda     difficulty
        and     #3
        cmp     #3
        bne     @set
        lda     #0
@set:   sta     new_high
        rts

; A raw speed A (1/32 towards the rim) into type X: -8 x A in 1/256. Clobbers A, temp.
put_speed:
        ldy     #0
        sty     temp
        asl
        rol     temp
        asl
        rol     temp
        asl
        rol     temp
        sta     temp+1
        sec
        lda     #0
        sbc     temp+1
        sta     type_speed_low,x
        lda     #0
        sbc     temp
        sta     type_speed_high,x
        rts

set_speeds:
        ldx     param_level
        lda     level_speed,x
        sta     temp+2
        ldy     new_high
        beq     @plain
        lsr                     ; an eighth faster or slower
        lsr
        lsr
        cpy     #HARD
        beq     @faster
        eor     #$FF
        sec
        adc     temp+2
        jmp     @changed
@faster:
        clc
        adc     temp+2
@changed:
        sta     temp+2
@plain: lda     temp+2
        ldx     #FLIPPER
        jsr     put_speed
        lda     temp+2
        ldx     #TANKER
        jsr     put_speed
        ldy     param_level
        lda     temp+2
        cpy     #20
        bcc     @spiker
        cpy     #48
        lda     #SPIKER_EXTRA
        bcc     @extra
        lda     #SPIKER_EXTRA+8
@extra: clc
        adc     temp+2
        bcc     @spiker
        lda     #$FF
@spiker:
        ldx     #SPIKER
        jsr     put_speed
        lda     #PULSAR_SPEED
        sta     type_speed_low+PULSAR
        lda     #PULSAR_SPEED_HI
        sta     type_speed_high+PULSAR
        lda     type_speed_low  ; fuseball: twice the flipper
        asl
        sta     type_speed_low+FUSEBALL
        lda     type_speed_high
        rol
        sta     type_speed_high+FUSEBALL
        lda     type_speed_low  ; enemy shots: flipper - 2
        sta     shot_speed_low
        lda     type_speed_high
        sec
        sbc     #2
        sta     shot_speed_high
        rts

; How many of what.
set_crowd:
        lda     #<range_fields
        sta     ptr
        lda     #>range_fields
        sta     ptr+1
        ldx     #1
@range: lda     param_level
        cmp     range_first,x
        bcc     @found
        lda     ptr
        clc
        adc     #FIELDS
        sta     ptr
        bcc     @same
        inc     ptr+1
@same:  inx
        cpx     #RANGE_COUNT
        bcc     @range
@found: ldy     #0
@field: lda     (ptr),y         ; minima, then maxima, as the cells lie
        sta     type_min,y
        iny
        cpy     #10
        bcc     @field
        lda     (ptr),y
        ldx     new_high
        beq     @shots
        cpx     #HARD
        beq     @more
        sec
        sbc     #1
        bne     @shots
@more:  cmp     #4
        bcs     @shots
        adc     #1
@shots: sec
        sbc     #1
        sta     shots_enemy_max
        ldx     param_level
        lda     level_hold,x
        sta     hold_off
        lda     level_wave,x
        ldy     new_high
        cpy     #HARD
        bne     @wave
        sta     temp
        lsr
        lsr
        lsr
        clc
        adc     temp
        cmp     #WAVE_MOST
        bcc     @wave
        lda     #WAVE_MOST
@wave:  sta     wave_size
        lda     #1              ; cargo: flippers to 32, then 33-40 a fuseball, 41 on a pulsar, 49 on both
        sta     cargo_list
        sta     cargo_list+1
        ldy     #1
        cpx     #32
        bcc     @third
        ldy     #3
        cpx     #40
        bcc     @third
        ldy     #2
@third: sty     cargo_list+2
        ldy     #1
        cpx     #48
        bcc     @fourth
        ldy     #3
@fourth:
        sty     cargo_list+3
        rts

; Habits, tolerances, pulse.
set_habits:
        lda     param_level
        and     #15
        tay
        lda     place_program,y
        sta     flip_program
        lda     place_spikes,y
        sta     spike_fill
        ldx     param_level
        lda     #7              ; hit tolerance: 7 to 22, then 8, 9 on even levels from 66
        cpx     #22
        bcc     @reach
        lda     #8
        cpx     #65
        bcc     @reach
        txa
        and     #1
        clc
        adc     #8
@reach: sta     reach+FLIPPER
        sta     reach+PULSAR
        sta     reach+TANKER
        sta     reach+SPIKER
        clc
        adc     #1
        sta     reach_shot
        lda     #6
        sta     reach+FUSEBALL
        lda     #4              ; pulse: 4, 6 from 49, 8 from 65
        cpx     #48
        bcc     @pulse
        lda     #6
        cpx     #64
        bcc     @pulse
        lda     #8
@pulse: sta     pulse_step
        lda     #$A0
        cpx     #64
        bcc     @depth
        lda     #$C0
@depth: sta     pulse_range
        ldy     #40             ; frames between a pulsar's flips: 40, 20 from 33, 10 from 65
        cpx     #32
        bcc     @wait
        ldy     #20
        cpx     #64
        bcc     @wait
        ldy     #10
@wait:  sty     pulsar_wait
        ldy     #0
        lda     new_high
        cmp     #HARD
        beq     @shoots
        cpx     #59
        bcc     @mute
@shoots:
        ldy     #$40
@mute:  sty     pulsar_shoots
        ldy     #2              ; rim flips: 2 steps a frame, 3 from 33; easy one less to 17
        cpx     #32
        bcc     @slow
        iny
@slow:  lda     new_high
        cmp     #EASY
        bne     @rim
        cpx     #17
        bcs     @rim
        dey
@rim:   sty     rim_steps
        lda     #$DC            ; fuseball hops: 14%, 25% from 17, falling to 16% at 64, 10% from 65
        cpx     #16
        bcc     @hops
        lda     #$C0
        cpx     #40
        bcc     @hops
        txa
        adc     #$C0-40-1       ; carry is set
        cpx     #64
        bcc     @hops
        lda     #$E6
@hops:  sta     ball_threshold
        lda     #0              ; fuseball habits: b6 on alternate levels 18-32, always from 33; b7 on alternate 34-48,
        cpx     #17             ; always from 49
        bcc     @habits
        cpx     #32
        bcs     @far
        txa
        and     #1
        beq     @habits
        lda     #$40
        bne     @habits
@far:   lda     #$C0
        cpx     #48
        bcs     @habits
        txa
        and     #1
        beq     @only_far
        lda     #$C0
        bne     @habits
@only_far:
        lda     #$40
@habits:
        sta     ball_habits
        rts

; A new level: the wave, the spikes, the superzapper. Needs the parameters. Clobbers A, X.
level_fresh:
        lda     #0
        sta     zaps
        lda     wave_size
        sta     pending
        lda     spike_fill
        ldx     #15
@spike: sta     spike,x
        dex
        bpl     @spike
        rts

; The start of a level or life: no enemies, nymphs drawn, pulse restarted. Clobbers all.
level_begin:
        jsr     clear_shots
        jsr     clear_enemies
        jsr     nymphs_fill
        lda     #$FF
        sta     pulse_phase
        lda     #0
        sta     zap_clock
        sta     descending
        sta     spike_warning
        sta     death_age
        sta     death_step
        ldx     #4
@room:  sta     type_room,x
        dex
        bpl     @room
        lda     #1
        sta     redraw
        rts
