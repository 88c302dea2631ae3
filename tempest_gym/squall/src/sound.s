; Sounds on both POKEYs: eight voices, one of them stepped at each interrupt, so each advances 31 times a second.
;
; A sound is a run of segments; a segment lasts some steps and adds to pitch and control at each. A sound has its
; voice, and a new one takes the voice over.

.include "ram.inc"
.include "sounds.inc"

.export sound_init, sound_play, sound_tick
.import sound_voice, sound_first, segment_steps, segment_pitch, segment_slide, segment_control, segment_fade

AUDIO_1         = $60C0         ; pitch and control of four voices, then AUDCTL
AUDIO_2         = $60D0
SKCTL_1         = $60CF
SKCTL_2         = $60DF

; --- RAM
voice           = $0500         ; stepped last
voice_left      = $0501         ; 8: steps left in the segment, 0 = silent
voice_segment   = $0509         ; 8
voice_pitch     = $0511         ; 8
voice_control   = $0519         ; 8
voice_request   = $0521

.segment "SOUND"

; Silence. The POKEYs leave reset here and never go back: their random numbers count from now on. AUDCTL stays 0, so
; these are the 17-bit ones.
sound_init:
        lda     #0
        ldx     #8
@clear: sta     AUDIO_1,x
        sta     AUDIO_2,x
        sta     voice_left-1,x
        dex
        bne     @clear
        sta     AUDIO_1
        sta     AUDIO_2
        sta     voice
        lda     #3
        sta     SKCTL_1
        sta     SKCTL_2
        rts

; Starts sound A. The demonstration is silent but for coins and start. Keeps X and Y.
sound_play:
        bit     mode
        bmi     @heard
        cmp     #SND_COIN
        beq     @heard
        cmp     #SND_START
        bne     @silent
@heard: sta     voice_request
        txa
        pha
        tya
        pha
        ldy     voice_request
        ldx     sound_voice,y
        lda     #0              ; the interrupt leaves a silent voice alone
        sta     voice_left,x
        lda     sound_first,y
        sta     voice_segment,x
        tay
        lda     segment_pitch,y
        sta     voice_pitch,x
        lda     segment_control,y
        sta     voice_control,x
        lda     segment_steps,y
        sta     voice_left,x
        pla
        tay
        pla
        tax
@silent:
        rts

; One voice, one step. Called by the interrupt; clobbers A, X, Y.
sound_tick:
        ldx     voice
        dex
        bpl     @this
        ldx     #7
@this:  stx     voice
        lda     voice_left,x
        bne     @sounding
        rts
@sounding:
        ldy     register,x
        lda     voice_pitch,x
        sta     AUDIO_1,y
        lda     voice_control,x
        sta     AUDIO_1+1,y
        ldy     voice_segment,x
        dec     voice_left,x
        beq     @following
        clc
        lda     voice_pitch,x
        adc     segment_slide,y
        sta     voice_pitch,x
        clc
        lda     voice_control,x
        adc     segment_fade,y
        sta     voice_control,x
        rts
@following:
        iny
        lda     segment_steps,y
        beq     @over
        sta     voice_left,x
        tya
        sta     voice_segment,x
        lda     segment_pitch,y
        sta     voice_pitch,x
        lda     segment_control,y
        sta     voice_control,x
        rts
@over:  ldy     register,x
        sta     AUDIO_1+1,y
        rts

register:
        .byte   $00, $02, $04, $06, $10, $12, $14, $16
