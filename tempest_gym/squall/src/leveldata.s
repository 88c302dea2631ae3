; Level parameters, levels 1 to 99 (ARCADE C.8): a table for what changes unevenly, ranges for the rest.

.include "ram.inc"

.export level_speed, level_wave, level_hold, place_program, place_spikes, place_shape
.export range_first, range_fields

.segment "RODATA"

level_speed:    ; flippers and tankers, 1/32 depth per frame towards the rim
        .byte    44,  49,  54,  59,  64,  69,  74,  79,  81,  83,  85,  87,  90,  92,  94,  96
        .byte    81,  83,  86,  88,  91,  93,  95,  98, 100, 103, 105, 107, 110, 112, 115, 117
        .byte   108, 111, 114, 117, 120, 123, 126, 112, 114, 116, 119, 121, 123, 126, 128, 130
        .byte   112, 114, 115, 117, 118, 120, 121, 123, 124, 126, 127, 129, 130, 132, 133, 135
        .byte   160, 191, 160, 191, 160, 191, 160, 191, 160, 191, 160, 191, 160, 191, 160, 191
        .byte   160, 191, 160, 191, 160, 191, 160, 191, 160, 191, 160, 191, 160, 191, 160, 191
        .byte   160, 191, 160
level_wave:     ; enemies in the wave
        .byte    10,  12,  15,  17,  20,  22,  24,  26,  27,  27,  28,  28,  29,  29,  30,  28
        .byte    20,  21,  22,  23,  24,  25,  26,  27,  28,  29,  27,  27,  27,  27,  27,  27
        .byte    27,  27,  27,  27,  27,  27,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36
        .byte    30,  31,  32,  33,  34,  35,  36,  37,  38,  39,  40,  41,  42,  43,  44,  45
        .byte    35,  36,  37,  38,  39,  40,  41,  42,  43,  44,  45,  46,  47,  48,  49,  50
        .byte    43,  44,  45,  46,  47,  48,  49,  50,  51,  52,  53,  54,  55,  56,  57,  58
        .byte    59,  60,  61
level_hold:     ; frames between shots of one enemy
        .byte    80,  77,  74,  71,  68,  65,  62,  59,  56,  53,  50,  47,  44,  41,  38,  35
        .byte    32,  31,  30,  30,  29,  28,  28,  27,  26,  25,  24,  24,  23,  22,  22,  21
        .byte    20,  20,  19,  19,  19,  18,  18,  18,  18,  17,  17,  17,  16,  16,  16,  15
        .byte    15,  15,  14,  14,  14,  13,  13,  13,  12,  12,  12,  12,  11,  11,  11,  10
        .byte    10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10
        .byte    10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10,  10
        .byte    10,  10,  10

; By the level's place in its block of 16.
place_program:
        .byte   GO_STRAIGHT, GO_EIGHT, GO_FLIPPING, GO_ZIGZAG, GO_RIDER, GO_EIGHT, GO_ZIGZAG, GO_STRAIGHT
        .byte   GO_RIDER, GO_AWAY, GO_FLIPPING, GO_EIGHT, GO_AWAY, GO_ZIGZAG, GO_FLIPPING, GO_AWAY
place_spikes:   ; tips at the beginning
        .byte   0, 0, 0, $E0, $D8, $D2, $CC, $C6, $C0, $B8, $B0, $A8, $A0, $A0, $A0, $A8
place_shape:    ; the open ones, 7-10, 13 and 15, are at the places 8 to 11, 14 and 15
        .byte   0, 1, 2, 3, 4, 5, 6, 7, 9, 13, 8, 12, 14, 10, 15, 11

; Ranges of levels: the first level-1 of each, and rows of the minimum and the maximum of flippers, pulsars, tankers,
; spikers and fuseballs, and the most enemy shots at once.
range_first:
        .byte   0, 2, 3, 4, 8, 9, 10, 16, 19, 21, 25, 26, 32, 42, 48, 64
range_fields:
        .byte   1, 0, 0, 0, 0,  4, 0, 0, 0, 0,  2       ; 1
        .byte   1, 0, 1, 0, 0,  4, 0, 1, 0, 0,  2       ; 3
        .byte   1, 0, 0, 1, 0,  4, 0, 0, 2, 0,  3       ; 4
        .byte   0, 0, 1, 2, 0,  5, 0, 1, 3, 0,  4       ; 5
        .byte   0, 0, 1, 2, 0,  5, 0, 2, 4, 0,  4       ; 9
        .byte   0, 0, 1, 2, 0,  5, 0, 2, 4, 0,  3       ; 10
        .byte   0, 0, 1, 2, 1,  5, 0, 2, 4, 1,  3       ; 11
        .byte   0, 2, 1, 0, 0,  3, 5, 1, 0, 0,  3       ; 17
        .byte   0, 2, 1, 1, 0,  3, 5, 1, 3, 0,  3       ; 20
        .byte   0, 2, 1, 1, 1,  4, 5, 1, 3, 2,  3       ; 22
        .byte   0, 2, 1, 1, 0,  4, 5, 1, 3, 0,  3       ; 26
        .byte   0, 2, 1, 1, 1,  5, 5, 2, 2, 3,  3       ; 27
        .byte   0, 1, 1, 0, 1,  5, 3, 2, 0, 4,  3       ; 33
        .byte   0, 1, 1, 1, 1,  5, 3, 2, 1, 4,  3       ; 43
        .byte   0, 1, 1, 1, 1,  5, 3, 3, 1, 3,  3       ; 49
        .byte   0, 1, 1, 1, 1,  5, 3, 3, 1, 3,  4       ; 65
