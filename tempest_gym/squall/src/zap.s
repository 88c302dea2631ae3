; The superzapper (ARCADE B.9).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export zap_player
.import take_buttons, kill_enemy, sound_play

USES            = 2
END_FIRST       = 19
END_SECOND      = 5

.segment "CODE"

; Takes the buttons; starts the zapper on a press of zap, or continues it. Clobbers all.
zap_player:
        lda     #BUTTON_ZAP | BUTTON_FIRE | BUTTON_START1 | BUTTON_START2
        bit     mode
        bpl     @out            ; the demo leaves the start buttons alone and never zaps
        jsr     take_buttons
        bit     edge
        bmi     @out
        ldx     zap_clock
        bne     @running
        and     #BUTTON_ZAP
        beq     @out
        lda     zaps
        cmp     #USES
        bcs     @out
        inc     zaps
        inc     zap_clock
        lda     #SND_ZAP
        jmp     sound_play
@running:
        bmi     @out
        lda     in_tube
        ora     on_rim
        beq     @end
        inc     zap_clock
        ldx     zap_clock
        lda     #END_FIRST
        ldy     zaps
        cpy     #USES
        bcc     @limit
        lda     #END_SECOND
@limit: sta     temp
        cpx     temp
        bcs     @end
        cpx     #3
        bcc     @out
        txa
        lsr
        bcs     @out            ; a kill on every even count
        ldx     #SLOTS-1
@find:  lda     e_depth,x
        bne     @kill
        dex
        bpl     @find
@end:   lda     #0
        sta     zap_clock
@out:   rts
@kill:  inc     zapped
        jsr     kill_enemy
        dec     zapped
        rts
