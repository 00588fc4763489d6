;; Where the JSON string ends that $at lies in, sixty-four bytes at a time: the index of its closing quote. Without one, $end, or $end + 1 when
;; the last byte is a backslash that takes the next one along. Compiled into closing-quote.ts; a test compiles it again and compares.
;;
;; A bit of $quotes and $backslashes stands for a byte of the block. Which bytes a backslash takes along is computed for the whole block at once, without
;; a branch per backslash, by the subtraction that simdjson found for it (Langdale and Lemire 2019, section 3.1.1): a run of backslashes
;; alternates between taking and being taken, and the borrow of the subtraction runs along it.
(module
  (memory (export "memory") 2)
  (func $bits (param $a v128) (param $b v128) (param $c v128) (param $d v128) (result i64)
    (i64.or
      (i64.or
        (i64.extend_i32_u (i8x16.bitmask (local.get $a)))
        (i64.shl (i64.extend_i32_u (i8x16.bitmask (local.get $b))) (i64.const 16)))
      (i64.or
        (i64.shl (i64.extend_i32_u (i8x16.bitmask (local.get $c))) (i64.const 32))
        (i64.shl (i64.extend_i32_u (i8x16.bitmask (local.get $d))) (i64.const 48)))))
  (func (export "closingQuote") (param $at i32) (param $end i32) (result i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $quote v128) (local $backslash v128)
    (local $quotes i64) (local $backslashes i64) (local $taking i64)
    ;; 1 when the first byte of the next block belongs to the last backslash of this one.
    (local $taken i64)
    (local $byte i32)
    (local.set $quote (i8x16.splat (i32.const 34)))
    (local.set $backslash (i8x16.splat (i32.const 92)))
    (block $rest
      (loop $block
        (br_if $rest (i32.gt_u (i32.add (local.get $at) (i32.const 64)) (local.get $end)))
        (local.set $a (v128.load align=1 (local.get $at)))
        (local.set $b (v128.load offset=16 align=1 (local.get $at)))
        (local.set $c (v128.load offset=32 align=1 (local.get $at)))
        (local.set $d (v128.load offset=48 align=1 (local.get $at)))
        (local.set $quotes
          (call $bits
            (i8x16.eq (local.get $a) (local.get $quote)) (i8x16.eq (local.get $b) (local.get $quote))
            (i8x16.eq (local.get $c) (local.get $quote)) (i8x16.eq (local.get $d) (local.get $quote))))
        (local.set $backslashes
          (call $bits
            (i8x16.eq (local.get $a) (local.get $backslash)) (i8x16.eq (local.get $b) (local.get $backslash))
            (i8x16.eq (local.get $c) (local.get $backslash)) (i8x16.eq (local.get $d) (local.get $backslash))))
        (if (i64.ne (i64.or (local.get $backslashes) (local.get $taken)) (i64.const 0))
          (then
            (local.set $taking (i64.and (local.get $backslashes) (i64.xor (local.get $taken) (i64.const -1))))
            (local.set $taking
              (i64.xor
                (i64.sub
                  (i64.or (i64.shl (local.get $taking) (i64.const 1)) (i64.const 0xaaaaaaaaaaaaaaaa))
                  (local.get $taking))
                (i64.const 0xaaaaaaaaaaaaaaaa)))
            (local.set $quotes
              (i64.and
                (local.get $quotes)
                (i64.xor
                  (i64.xor (local.get $taking) (i64.or (local.get $backslashes) (local.get $taken)))
                  (i64.const -1))))
            (local.set $taken (i64.shr_u (i64.and (local.get $taking) (local.get $backslashes)) (i64.const 63)))))
        (if (i64.ne (local.get $quotes) (i64.const 0))
          (then (return (i32.add (local.get $at) (i32.wrap_i64 (i64.ctz (local.get $quotes)))))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $block)))
    (local.set $at (i32.add (local.get $at) (i32.wrap_i64 (local.get $taken))))
    (block $open
      (loop $next
        (br_if $open (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.eq (local.get $byte) (i32.const 34)) (then (return (local.get $at))))
        (local.set $at
          (i32.add (local.get $at) (select (i32.const 2) (i32.const 1) (i32.eq (local.get $byte) (i32.const 92)))))
        (br $next)))
    (local.get $at)))
