; Points, bonus lives, the bonus of the starting level (ARCADE C.11, C.12, D).

.include "hardware.inc"
.include "ram.inc"
.include "sounds.inc"

.export score_add, score_one, award_choice, flash_step, swap_players
.export start_levels, bonus_mid, bonus_high
.import sound_play

LIVES_MOST      = 6
FLASH_TIME      = $20

.segment "RODATA"

start_levels:                   ; of the 28 entries of the level select menu
        .byte   1, 3, 5, 7, 9, 11, 13, 15, 17, 20, 22, 24, 27, 30, 33, 35, 38, 41, 43, 46, 49, 52, 55, 58, 62, 65, 73, 81
bonus_high:                     ; their bonus, BCD hundred thousands and ten thousands
        .byte   $00, $00, $01, $03, $05, $07, $09, $11, $13, $15, $17, $20, $22, $24, $26, $29, $32, $35, $38, $40
        .byte   $43, $48, $52, $56, $61, $65, $76, $89
bonus_mid:                      ; thousands and hundreds
        .byte   $00, $60, $60, $20, $40, $40, $40, $40, $40, $60, $80, $00, $20, $40, $60, $40, $20, $10, $00, $90
        .byte   $90, $20, $50, $80, $20, $60, $60, $80

.segment "CODE"

; One point to the player now up, in a real game. Keeps X.
score_one:
        lda     #1
        ldy     #0

; A (BCD, units) and Y (BCD, hundreds) points to the player now up, in a real game; a bonus life where the ten
; thousands carry to a multiple of the step. Keeps X, clobbers A, Y, rank_work.
score_add:
        bit     mode
        bpl     @out
        stx     rank_work
        sty     rank_work+1
        ldx     player_up
        beq     @first
        ldx     #3
@first: sed
        clc
        adc     score,x
        sta     score,x
        lda     score+1,x
        adc     rank_work+1
        sta     score+1,x
        bcc     @done
        lda     score+2,x
        adc     #0
        sta     score+2,x
        cld
        jsr     bonus_due
@done:  cld
        ldx     rank_work
@out:   rts

; The score has just carried into its ten thousands byte A (BCD): a life if that is a multiple of the step.
; Clobbers A, X, Y.
bonus_due:
        ldy     bonus_step
        beq     @out
        pha                     ; to binary: minus 6 for each ten
        lsr
        lsr
        lsr
        lsr
        sta     rank_work+1
        asl
        clc
        adc     rank_work+1
        asl
        sta     rank_work+1
        pla
        sec
        sbc     rank_work+1
@reduce:
        beq     bonus_life
        sec
        sbc     bonus_step
        bcs     @reduce
@out:   rts

bonus_life:
        ldx     player_up
        lda     lives,x
        cmp     #LIVES_MOST
        bcs     @full
        inc     lives,x
        lda     #FLASH_TIME
        sta     bonus_flash
        lda     #SND_BONUS
        jmp     sound_play
@full:  rts

; Bonus of the start choice of the player now up, paid when the first level is done. Clobbers A, X, Y.
award_choice:
        bit     mode
        bpl     @out
        ldx     player_up
        ldy     choice,x
        beq     @out
        txa
        beq     @first
        ldx     #3
@first: sed
        clc
        lda     score+1,x
        adc     bonus_mid,y
        sta     score+1,x
        lda     score+2,x
        adc     bonus_high,y
        sta     score+2,x
        lda     bonus_step      ; at most 7: BCD and binary alike
        beq     @none
        cld
        lda     bonus_high,y
        cmp     bonus_step
        bcs     bonus_life
@none:  cld
@out:   rts

; The flash of a bonus life runs down from $20 to $FF. Clobbers nothing but flags.
flash_step:
        bit     bonus_flash
        bmi     @out
        dec     bonus_flash
@out:   rts

; Exchanges superzapper uses, pending number and spikes with the other player's. Clobbers A, X, Y.
swap_players:
        ldx     #17
@cell:  ldy     zaps,x
        lda     other_zaps,x
        sta     zaps,x
        tya
        sta     other_zaps,x
        dex
        bpl     @cell
        rts
