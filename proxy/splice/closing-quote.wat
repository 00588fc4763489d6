;; Where the JSON string ends that $at lies in, sixteen bytes at a time: the index of its closing quote. Without one, $end, or $end + 1 when
;; the last byte is a backslash that takes the next one along. Compiled into closing-quote.ts; a test compiles it again and compares.
(module
  (memory (export "memory") 2)
  (func (export "closingQuote") (param $at i32) (param $end i32) (result i32)
    (local $bytes v128)
    (local $specials i32)
    (local $byte i32)
    (block $open
      (loop $next
        (if (i32.le_u (i32.add (local.get $at) (i32.const 16)) (local.get $end))
          (then
            (local.set $bytes (v128.load align=1 (local.get $at)))
            (local.set $specials
              (i8x16.bitmask
                (v128.or
                  (i8x16.eq (local.get $bytes) (v128.const i8x16 34 34 34 34 34 34 34 34 34 34 34 34 34 34 34 34))
                  (i8x16.eq (local.get $bytes) (v128.const i8x16 92 92 92 92 92 92 92 92 92 92 92 92 92 92 92 92)))))
            (if (i32.eqz (local.get $specials))
              (then
                (local.set $at (i32.add (local.get $at) (i32.const 16)))
                (br $next)))
            (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $specials))))
            (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 34)) (then (return (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 2)))
            (br $next)))
        (br_if $open (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.eq (local.get $byte) (i32.const 34)) (then (return (local.get $at))))
        (local.set $at
          (i32.add (local.get $at) (select (i32.const 2) (i32.const 1) (i32.eq (local.get $byte) (i32.const 92)))))
        (br $next)))
    (local.get $at)))
