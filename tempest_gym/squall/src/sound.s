; Sounds on both POKEYs.

.export sound_init, sound_play, sound_tick

.segment "SOUND"

sound_init:
        lda     #0
        ldx     #8
@clear: sta     $60C0,x
        sta     $60D0,x
        dex
        bpl     @clear
        lda     #3              ; out of reset, and never back into it
        sta     $60CF
        sta     $60DF
        rts

sound_play:
        rts

sound_tick:
        rts
