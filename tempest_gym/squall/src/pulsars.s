; Pulsars and the pulse (ARCADE A.8, C.5). X is the slot.

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export go_pulsar, pulse
.import advance, retreat, flip_begin, flip_step, aim, to_rim, die, sound_play

PHASE_TOP       = 15            ; the phase turns round at or beyond these
PHASE_BOTTOM    = <-65
DUE_STEPS       = 4

.segment "CODE"

; Keeps X.
go_pulsar:
        lda     e_type,x
        bmi     @turning
        lda     e_loop,x
        bne     @move
        bit     pulse_due
        bmi     @flip           ; but it moves on while the pulse is on or near
@move:  lda     e_flags,x
        bmi     @away
        lda     e_depth,x
        cmp     pulse_range
        bcc     @slow
        lda     e_type,x        ; far off: as fast as a flipper
        pha
        and     #$F8
        sta     e_type,x
        jsr     advance
        pla
        sta     e_type,x
        jmp     @wait
@slow:  jsr     advance
        lda     depth
        cmp     e_depth,x
        bcc     @wait
        ldy     pending
        beq     @hunt
        sta     e_depth,x
        lda     #0
        sta     e_fraction,x
        lda     e_flags,x
        ora     #$80
        sta     e_flags,x
        bne     @wait
@hunt:  jmp     to_rim
@away:  jsr     retreat
        lda     pending
        beq     @up
        lda     e_depth,x
        cmp     pulse_range
        bcc     @wait
@up:    lda     e_flags,x
        and     #$7F
        sta     e_flags,x
@wait:  lda     e_loop,x
        beq     @out
        dec     e_loop,x
        rts
@flip:  jsr     aim
        jsr     flip_begin
        jmp     @after
@turning:
        jsr     flip_step
@after: bcc     @out
        lda     pulsar_wait
        sta     e_loop,x
@out:   rts

; The phase advances, pulsars or not; while it is not negative every pulsar flat in its lane kills there.
; Clobbers all.
pulse:
        lda     pulse_phase
        clc
        adc     pulse_step
        sta     pulse_phase
        bmi     @below
        cmp     #PHASE_TOP
        bcc     @on
        bcs     @reverse
@below: cmp     #PHASE_BOTTOM+1
        bcs     @on
@reverse:
        lda     #0
        sec
        sbc     pulse_step
        sta     pulse_step
@on:    lda     pulse_step      ; due: on, or on within four steps
        bmi     @not_rising
        asl
        asl
        clc
        adc     pulse_phase
        jmp     @due
@not_rising:
        lda     pulse_phase
@due:   sta     pulse_due
        lda     pulse_phase
        bmi     @out
        ldy     type_live+PULSAR
        beq     @out
        ldx     #SLOTS-1
@slot:  lda     e_depth,x
        beq     @next
        cmp     pulse_range
        bcs     @next
        lda     e_program,x
        cmp     #GO_PULSAR
        bne     @next
        lda     e_lane,x
        cmp     lane
        bne     @next
        lda     e_edge,x        ; also distinguishes flipping from flat
        cmp     edge
        bne     @next
        lda     #DIED_BY_SPIKE
        jsr     die
@next:  dex
        bpl     @slot
        lda     pulse_phase
        sec
        sbc     pulse_step
        bpl     @out            ; was on before
        lda     #SND_PULSE
        jmp     sound_play
@out:   rts
