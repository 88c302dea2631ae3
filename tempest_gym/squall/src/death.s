; The player's death and what follows until $06 (ARCADE C.2).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export die, grab, dying_step
.import sound_play, clear_enemies, clear_shots, nymphs_fill

PICTURE_TIME    = 21
GRAB_TIME       = 6
RETREAT         = $0F
PULL_BACK       = 32
PULL_TIME       = 40
PENDING_MOST    = 63

.segment "CODE"

; The player is grabbed on the rim. Keeps X, clobbers A, Y.
grab:
        bit     edge
        bmi     done
        lda     #$80
        ldy     #SND_GRAB
        bne     doom

; The player is killed by A (DIED_BY_...), unless dying already. Keeps X, clobbers A, Y.
die:
        bit     edge
        bmi     done
        sta     death_kind
        lda     #$81
        ldy     #SND_DEATH
doom:   sta     edge
        lda     #0
        sta     death_age
        sta     death_step
        tya
        jmp     sound_play
done:   rts

; One frame of dying. Clobbers all.
dying_step:
        lda     death_step
        beq     @picture
        cmp     #2
        beq     @pull
        ldx     #SLOTS-1        ; everybody goes back down the tube
@enemy: lda     e_depth,x
        beq     @next
        clc
        adc     #RETREAT
        bcs     @far
        cmp     #FAR
        bcc     @store
@far:   lda     #FAR
@store: sta     e_depth,x
@next:  dex
        bpl     @enemy
        lda     depth
        clc
        adc     #RETREAT
        bcs     @end
        cmp     #FAR
        bcs     @end
        sta     depth
        rts

@pull:  lda     eye_low
        sec
        sbc     #PULL_BACK
        sta     eye_low
        bcs     @same
        dec     eye_high
@same:  dec     anim_timer
        beq     @end
        rts

@picture:
        inc     death_age
        lda     edge
        lsr                     ; carry: killed, not grabbed
        lda     #GRAB_TIME
        bcc     @time
        lda     #PICTURE_TIME
@time:  cmp     death_age
        bne     @out
        jsr     release_rim
        inc     death_step
        lda     lives
        clc
        adc     lives+1
        cmp     #1
        bne     @out
        inc     death_step      ; the last life of all: the view pulls back instead
        lda     #PULL_TIME
        sta     anim_timer
@out:   rts

@end:   lda     #$FF            ; off the end
        sta     depth
        lda     pending
        clc
        adc     in_tube
        adc     on_rim
        cmp     #PENDING_MOST
        bcc     @few
        lda     #PENDING_MOST
@few:   sta     pending
        jsr     clear_enemies
        jsr     clear_shots
        jsr     nymphs_fill
        lda     #STATE_LIFE
        sta     state
        rts

; Those on the rim are in the tube again. Clobbers A, X.
release_rim:
        lda     in_tube
        clc
        adc     on_rim
        sta     in_tube
        lda     #0
        sta     on_rim
        ldx     #SLOTS-1
@slot:  lda     e_program,x
        cmp     #GO_RIM
        bne     @next
        lda     #GO_STRAIGHT
        sta     e_program,x
@next:  dex
        bpl     @slot
        rts
