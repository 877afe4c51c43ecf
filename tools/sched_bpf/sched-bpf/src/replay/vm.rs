// SPDX-License-Identifier: GPL-2.0

//! Runs BPF instructions, as of Documentation/bpf/standardization/instruction-set.rst.
//!
//! The verifier has not seen them: an instruction that it would refuse is an error here, or
//! acts on what is there. Of the crates that do this, none knows atomic operations, calls of
//! kernel functions, or memory that is known in parts only.

use anyhow::{bail, ensure, Context, Result};

/// An answer takes no more than this: the verifier lets no more through.
const MAX_STEPS: u64 = 1_000_000;

const MAX_FRAMES: usize = 8;

/// Bytes of the stack of a function.
pub const FRAME_SIZE: u64 = 512;

/// Bytes of the stack.
pub const STACK_SIZE: usize = MAX_FRAMES * FRAME_SIZE as usize;

/// An instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Insn {
    /// Class, operation, source or size
    pub code: u8,
    /// Destination
    pub dst: u8,
    /// Source
    pub src: u8,
    /// Offset
    pub off: i16,
    /// Constant
    pub imm: i32,
}

/// What instructions act on.
pub trait World {
    /// Where the stack is.
    fn stack(&self) -> u64;
    /// Reads 1, 2, 4 or 8 bytes.
    fn read(&mut self, addr: u64, size: usize) -> Result<u64>;
    /// Writes 1, 2, 4 or 8 bytes.
    fn write(&mut self, addr: u64, size: usize, value: u64) -> Result<()>;
    /// The value of a 64-bit constant whose source is not 0: a map, or a place in one.
    fn constant(&mut self, kind: u8, low: i32, high: i32) -> Result<u64>;
    /// Calls a helper.
    fn helper(&mut self, id: u32, args: [u64; 5]) -> Result<u64>;
    /// Calls a function of the kernel, by the number of its type.
    fn kfunc(&mut self, id: i32, args: [u64; 5]) -> Result<u64>;
}

// Classes.
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const JMP: u8 = 0x05;
const JMP32: u8 = 0x06;
const ALU64: u8 = 0x07;

// Modes of access to memory.
const MEM: u8 = 0x60;
const MEMSX: u8 = 0x80;
const ATOMIC: u8 = 0xc0;

/// The source is a register.
const X: u8 = 0x08;

/// With an atomic operation: the old value is wanted.
const FETCH: i32 = 0x01;

fn size_of(code: u8) -> usize {
    match code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn sign_extend(value: u64, bits: u32) -> u64 {
    let unused = 64 - bits;

    (((value << unused) as i64) >> unused) as u64
}

/// What `dst` becomes. `off` chooses between signed and unsigned.
fn arithmetic(op: u8, dst: u64, src: u64, off: i16, wide: bool) -> Result<u64> {
    let bits: u32 = if wide { 64 } else { 32 };
    let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
    let signed = |value: u64| sign_extend(value, bits) as i64;
    let (dst, src) = (cut(dst), cut(src));
    let shift = (src as u32) & (bits - 1);

    let result = match (op, off) {
        (0x00, _) => dst.wrapping_add(src),
        (0x10, _) => dst.wrapping_sub(src),
        (0x20, _) => dst.wrapping_mul(src),
        (0x30, 0) => dst.checked_div(src).unwrap_or(0),
        (0x30, 1) if src == 0 => 0,
        (0x30, 1) => signed(dst).wrapping_div(signed(src)) as u64,
        (0x40, _) => dst | src,
        (0x50, _) => dst & src,
        (0x60, _) => dst << shift,
        (0x70, _) => dst >> shift,
        (0x80, _) => dst.wrapping_neg(),
        (0x90, 0) => dst.checked_rem(src).unwrap_or(dst),
        (0x90, 1) if src == 0 => dst,
        (0x90, 1) => signed(dst).wrapping_rem(signed(src)) as u64,
        (0xa0, _) => dst ^ src,
        (0xb0, 0) => src,
        (0xb0, 8 | 16 | 32) => sign_extend(src, off as u32),
        (0xc0, _) => (signed(dst) >> shift) as u64,
        _ => bail!("arithmetic {op:#x} with offset {off} is not known"),
    };
    Ok(cut(result))
}

/// `to_little`, `to_big` or an unconditional swap of 16, 32 or 64 bits.
fn swap(insn: Insn, value: u64) -> Result<u64> {
    let big = insn.code & X != 0;
    let always = insn.code & 7 == ALU64;
    let swaps = always || big == cfg!(target_endian = "little");

    Ok(match (insn.imm, swaps) {
        (16, false) => value & 0xffff,
        (32, false) => value & 0xffff_ffff,
        (64, false) => value,
        (16, true) => u64::from((value as u16).swap_bytes()),
        (32, true) => u64::from((value as u32).swap_bytes()),
        (64, true) => value.swap_bytes(),
        (bits, _) => bail!("a swap of {bits} bits"),
    })
}

fn holds(op: u8, dst: u64, src: u64, wide: bool) -> Result<bool> {
    let bits = if wide { 64 } else { 32 };
    let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
    let signed = |value: u64| sign_extend(value, bits) as i64;
    let (a, b) = (cut(dst), cut(src));

    Ok(match op {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => signed(a) > signed(b),
        0x70 => signed(a) >= signed(b),
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => signed(a) < signed(b),
        0xd0 => signed(a) <= signed(b),
        _ => bail!("jump {op:#x} is not known"),
    })
}

/// A function that waits for another to return.
struct Frame {
    back: usize,
    saved: [u64; 4],
}

struct Machine<'a, W> {
    insns: &'a [Insn],
    world: &'a mut W,
    regs: [u64; 11],
    frames: Vec<Frame>,
    pc: usize,
}

impl<W: World> Machine<'_, W> {
    fn reg(&self, nr: u8) -> Result<u64> {
        self.regs
            .get(usize::from(nr))
            .copied()
            .with_context(|| format!("register {nr}, there are 11"))
    }

    fn set(&mut self, nr: u8, value: u64) -> Result<()> {
        ensure!(nr < 10, "register {nr} is written");
        self.regs[usize::from(nr)] = value;
        Ok(())
    }

    fn source(&self, insn: Insn) -> Result<u64> {
        if insn.code & X != 0 {
            self.reg(insn.src)
        } else {
            Ok(i64::from(insn.imm) as u64)
        }
    }

    fn jump(&mut self, by: i64) -> Result<()> {
        self.pc = usize::try_from(self.pc as i64 + by).context("a jump to before the program")?;
        Ok(())
    }

    fn args(&self) -> [u64; 5] {
        [1, 2, 3, 4, 5].map(|nr: usize| self.regs[nr])
    }

    fn arithmetic(&mut self, insn: Insn, wide: bool) -> Result<()> {
        let op = insn.code & 0xf0;
        let dst = self.reg(insn.dst)?;
        let result = match op {
            0xd0 => swap(insn, dst)?,
            _ => arithmetic(op, dst, self.source(insn)?, insn.off, wide)?,
        };
        self.set(insn.dst, result)
    }

    fn atomic(&mut self, insn: Insn) -> Result<()> {
        let size = size_of(insn.code);
        let addr = self.reg(insn.dst)?.wrapping_add(insn.off as u64);

        // Load-acquire and store-release have their address in the other register.
        if insn.imm == 0x100 {
            let addr = self.reg(insn.src)?.wrapping_add(insn.off as u64);
            let value = self.world.read(addr, size)?;
            return self.set(insn.dst, value);
        }
        if insn.imm == 0x110 {
            let value = self.reg(insn.src)?;
            return self.world.write(addr, size, value);
        }

        let old = self.world.read(addr, size)?;
        let src = self.reg(insn.src)?;
        let new = match insn.imm & 0xf0 {
            0x00 => old.wrapping_add(src),
            0x40 => old | src,
            0x50 => old & src,
            0xa0 => old ^ src,
            0xe0 => src,
            0xf0 => {
                // Both as wide as the memory is.
                let expected = self.regs[0] & (u64::MAX >> (64 - 8 * size as u32));
                self.regs[0] = old;
                if old == expected {
                    self.world.write(addr, size, src)?;
                }
                return Ok(());
            }
            op => bail!("atomic operation {op:#x} is not known"),
        };
        self.world.write(addr, size, new)?;
        if insn.imm & FETCH != 0 {
            self.set(insn.src, old)?;
        }
        Ok(())
    }

    fn memory(&mut self, insn: Insn) -> Result<()> {
        let size = size_of(insn.code);
        let dst = self.reg(insn.dst)?.wrapping_add(insn.off as u64);

        match (insn.code & 7, insn.code & 0xe0) {
            (LDX, mode @ (MEM | MEMSX)) => {
                let addr = self.reg(insn.src)?.wrapping_add(insn.off as u64);
                let value = self.world.read(addr, size)?;
                let value = match mode {
                    MEMSX => sign_extend(value, 8 * size as u32),
                    _ => value,
                };
                self.set(insn.dst, value)
            }
            (ST, MEM) => self.world.write(dst, size, i64::from(insn.imm) as u64),
            (STX, MEM) => {
                let value = self.reg(insn.src)?;
                self.world.write(dst, size, value)
            }
            (STX, ATOMIC) => self.atomic(insn),
            _ => bail!("access to memory {:#x} is not known", insn.code),
        }
    }

    fn call(&mut self, insn: Insn) -> Result<()> {
        match insn.src {
            0 => self.regs[0] = self.world.helper(insn.imm as u32, self.args())?,
            2 => self.regs[0] = self.world.kfunc(insn.imm, self.args())?,
            1 => {
                ensure!(self.frames.len() + 1 < MAX_FRAMES, "calls are too deep");
                let saved = [6, 7, 8, 9].map(|nr: usize| self.regs[nr]);
                let back = self.pc;
                self.frames.push(Frame { back, saved });
                self.regs[10] += FRAME_SIZE;
                self.jump(i64::from(insn.imm))?;
            }
            kind => bail!("a call of kind {kind} is not known"),
        }
        Ok(())
    }

    /// The result, once it is there.
    fn step(&mut self, insn: Insn) -> Result<Option<u64>> {
        let op = insn.code & 0xf0;

        match insn.code & 7 {
            class @ (ALU | ALU64) => self.arithmetic(insn, class == ALU64)?,
            LD => {
                ensure!(insn.code == 0x18, "load {:#x} is not known", insn.code);
                let high = self.insns.get(self.pc).context("half of a constant")?.imm;
                self.pc += 1;
                let value = match insn.src {
                    0 => u64::from(insn.imm as u32) | (u64::from(high as u32) << 32),
                    kind => self.world.constant(kind, insn.imm, high)?,
                };
                self.set(insn.dst, value)?;
            }
            LDX | ST | STX => self.memory(insn)?,
            class @ (JMP | JMP32) => match (op, class) {
                (0x00, JMP) => self.jump(i64::from(insn.off))?,
                (0x00, _) => self.jump(i64::from(insn.imm))?,
                (0x80, JMP) => self.call(insn)?,
                (0x90, JMP) => {
                    let Some(frame) = self.frames.pop() else {
                        return Ok(Some(self.regs[0]));
                    };
                    self.pc = frame.back;
                    self.regs[6..10].copy_from_slice(&frame.saved);
                    self.regs[10] -= FRAME_SIZE;
                }
                _ => {
                    let dst = self.reg(insn.dst)?;
                    if holds(op, dst, self.source(insn)?, class == JMP)? {
                        self.jump(i64::from(insn.off))?;
                    }
                }
            },
            _ => unreachable!("three bits"),
        }
        Ok(None)
    }
}

/// Runs a program whose context is at `context`. Returns what it returns.
pub fn run(insns: &[Insn], context: u64, world: &mut impl World) -> Result<u64> {
    let mut regs = [0; 11];
    regs[1] = context;
    regs[10] = world.stack() + FRAME_SIZE;
    let mut machine = Machine {
        insns,
        world,
        regs,
        frames: Vec::new(),
        pc: 0,
    };

    for _ in 0..MAX_STEPS {
        let at = machine.pc;
        let insn = *insns.get(at).context("the program goes on after its end")?;
        machine.pc += 1;
        let result = machine.step(insn);
        if let Some(result) = result.with_context(|| format!("instruction {at}"))? {
            return Ok(result);
        }
    }
    bail!("no answer after {MAX_STEPS} instructions")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory of 4 KiB at 0x1000, a helper that adds, and a function that subtracts.
    struct Plain(Vec<u8>);

    impl World for Plain {
        fn stack(&self) -> u64 {
            0x1000
        }

        fn read(&mut self, addr: u64, size: usize) -> Result<u64> {
            let at = addr.checked_sub(0x1000).context("below")? as usize;
            let mut bytes = [0; 8];
            bytes[..size].copy_from_slice(self.0.get(at..at + size).context("above")?);
            Ok(u64::from_le_bytes(bytes))
        }

        fn write(&mut self, addr: u64, size: usize, value: u64) -> Result<()> {
            let at = addr.checked_sub(0x1000).context("below")? as usize;
            let to = self.0.get_mut(at..at + size).context("above")?;
            to.copy_from_slice(&value.to_le_bytes()[..size]);
            Ok(())
        }

        fn constant(&mut self, kind: u8, low: i32, high: i32) -> Result<u64> {
            Ok(u64::from(kind) * 1000 + low as u64 * 10 + high as u64)
        }

        fn helper(&mut self, id: u32, args: [u64; 5]) -> Result<u64> {
            Ok(u64::from(id) + args.iter().sum::<u64>())
        }

        fn kfunc(&mut self, id: i32, args: [u64; 5]) -> Result<u64> {
            Ok(args[0] - args[1] - id as u64)
        }
    }

    fn i(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
        Insn {
            code,
            dst,
            src,
            off,
            imm,
        }
    }

    const EXIT: (u8, u8, u8, i16, i32) = (0x95, 0, 0, 0, 0);

    fn result(insns: &[(u8, u8, u8, i16, i32)]) -> Result<u64> {
        let insns: Vec<_> = insns
            .iter()
            .chain([&EXIT])
            .map(|&(code, dst, src, off, imm)| i(code, dst, src, off, imm))
            .collect();

        run(&insns, 0x1ff0, &mut Plain(vec![0; 4096]))
    }

    /// What an operation makes of two numbers.
    fn two(code: u8, off: i16, a: i32, b: i32) -> u64 {
        result(&[(0xb7, 0, 0, 0, a), (0xb7, 2, 0, 0, b), (code, 0, 2, off, 0)]).unwrap()
    }

    #[test]
    fn divisions() {
        assert_eq!(two(0x3f, 0, 7, 2), 3);
        assert_eq!(two(0x3f, 0, 7, 0), 0);
        assert_eq!(two(0x9f, 0, 7, 0), 7);
        assert_eq!(two(0x3f, 1, -7, 2) as i64, -3);
        assert_eq!(two(0x9f, 1, -7, 2) as i64, -1);
        // 32 bits: the rest is zero.
        assert_eq!(two(0x3c, 0, -2, 2), 0x7fff_ffff);
        assert_eq!(two(0x3c, 1, -7, 2), 0xffff_fffd);
        assert_eq!(two(0x9c, 0, -1, 0), 0xffff_ffff);
        // The smallest number by -1 is itself.
        assert_eq!(two(0x3c, 1, i32::MIN, -1), 0x8000_0000);
    }

    #[test]
    fn shifts_and_moves() {
        assert_eq!(two(0x6f, 0, 1, 65), 2);
        assert_eq!(two(0x6c, 0, 1, 33), 2);
        assert_eq!(two(0xcf, 0, -8, 1) as i64, -4);
        assert_eq!(two(0xcc, 0, -8, 1), 0xffff_fffc);
        assert_eq!(two(0x7c, 0, -8, 1), 0x7fff_fffc);
        assert_eq!(two(0xbf, 8, 0, 0x1ff) as i64, -1);
        assert_eq!(two(0xbf, 32, 0, -1) as i64, -1);
        assert_eq!(two(0xbc, 16, 0, 0xffff), 0xffff_ffff);
        assert_eq!(two(0x87, 0, 5, 0) as i64, -5);
        // A constant is sign-extended, and cut for 32 bits.
        assert_eq!(result(&[(0xb4, 0, 0, 0, -1)]).unwrap(), 0xffff_ffff);
        // be16, and bswap32.
        let swapped = result(&[(0xb7, 0, 0, 0, 0x1234), (0xdc, 0, 0, 0, 16)]);
        assert_eq!(swapped.unwrap(), 0x3412);
        let swapped = result(&[(0xb7, 0, 0, 0, 0x1234), (0xd7, 0, 0, 0, 32)]);
        assert_eq!(swapped.unwrap(), 0x3412_0000);
    }

    #[test]
    fn jumps() {
        let jumps = |code, a: i32, b: i32| {
            let taken = result(&[
                (0xb7, 2, 0, 0, a),
                (0xb7, 0, 0, 0, 1),
                (code, 2, 0, 1, b),
                (0xb7, 0, 0, 0, 0),
            ]);
            taken.unwrap() == 1
        };

        assert!(jumps(0x15, -1, -1) && !jumps(0x15, 1, 2));
        assert!(jumps(0x25, -1, 1) && !jumps(0x65, -1, 1));
        assert!(jumps(0xa5, 1, -1) && !jumps(0xc5, 1, -1));
        assert!(jumps(0x45, 6, 2) && !jumps(0x45, 4, 2));
        // 32 bits: -1 is larger than 1, unless signed.
        assert!(jumps(0x26, -1, 1) && !jumps(0x66, -1, 1) && jumps(0xd6, -1, -1));
        // gotol
        let far = result(&[(0xb7, 0, 0, 0, 1), (0x06, 0, 0, 0, 1), (0xb7, 0, 0, 0, 0)]);
        assert_eq!(far.unwrap(), 1);
    }

    #[test]
    fn memory_and_atomics() {
        // A byte of the stack, sign-extended or not.
        let byte = |code| result(&[(0x7a, 10, 0, -8, 0x80), (code, 0, 10, -8, 0)]).unwrap();
        assert_eq!(byte(0x71), 0x80);
        assert_eq!(byte(0x91) as i64, -128);

        let atomic = |op, memory, src| {
            let all = [
                (0x7a, 10, 0, -8, memory),
                (0xb7, 0, 0, 0, 5),
                (0xb7, 2, 0, 0, src),
                (0xdb, 10, 2, -8, op),
                // 100 times what is in memory, 10 times r2, and r0.
                (0x79, 3, 10, -8, 0),
                (0x27, 3, 0, 0, 100),
                (0x27, 2, 0, 0, 10),
                (0x0f, 0, 2, 0, 0),
                (0x0f, 0, 3, 0, 0),
            ];
            result(&all).unwrap()
        };
        assert_eq!(atomic(0x00, 3, 4), 700 + 40 + 5);
        assert_eq!(atomic(0x01, 3, 4), 700 + 30 + 5);
        assert_eq!(atomic(0x51, 3, 6), 200 + 30 + 5);
        assert_eq!(atomic(0xe1, 3, 4), 400 + 30 + 5);
        // r0 is what is expected, and becomes what was there.
        assert_eq!(atomic(0xf1, 5, 4), 400 + 40 + 5);
        assert_eq!(atomic(0xf1, 3, 4), 300 + 40 + 3);

        let error = result(&[(0x79, 0, 2, 0, 0)]).unwrap_err();
        assert_eq!(format!("{error:#}"), "instruction 0: below");
    }

    #[test]
    fn calls() {
        let all = [
            (0xb7, 1, 0, 0, 3),
            (0xb7, 6, 0, 0, 70),
            (0x85, 0, 1, 0, 2),
            (0x0f, 0, 6, 0, 0),
            EXIT,
            // The function has registers of its own, and a stack: 3 - 1 - 1.
            (0xb7, 6, 0, 0, 1),
            (0x7b, 10, 6, -8, 0),
            (0x79, 2, 10, -8, 0),
            (0x85, 0, 2, 0, 1),
        ];
        assert_eq!(result(&all).unwrap(), 71);
        // A helper: 7 and the sum of what is in r1 to r5, of which r1 was the context.
        assert_eq!(result(&[(0x85, 0, 0, 0, 7)]).unwrap(), 0x1ff7);
        assert_eq!(
            result(&[(0x18, 0, 1, 0, 2), (0, 0, 0, 0, 3)]).unwrap(),
            1023
        );
        let endless = result(&[(0x05, 0, 0, -1, 0)]).unwrap_err().to_string();
        assert!(endless.contains("no answer after 1000000"), "{endless}");
        let deep = format!("{:#}", result(&[(0x85, 0, 1, 0, -1)]).unwrap_err());
        assert!(deep.contains("calls are too deep"), "{deep}");
    }
}
