//! The smallest Linux programs: an ELF header, one segment, `write(1, text)`, `exit(0)`.
//!
//! Rules learnt from running them (native.md, section 6): `p_align` 0x10000 fits pages of 4, 16 and 64 KiB; the padding of `e_ident` is zero,
//! as binfmt masks test it; addresses are relative to the program counter, but for 386, which has none.
use super::code::code;
use crate::control::Platform;

const BASE: u32 = 0x0040_0000;
const ALIGN: u32 = 0x0001_0000;
/// arm's immediate operands have eight bits.
pub const TEXT_LIMIT: usize = 255;

/// An architecture that a program can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// x86-64
    Amd64,
    /// ARM, 64 bit
    Arm64,
    /// RISC-V, 64 bit
    Riscv64,
    /// IBM Z
    S390x,
    /// POWER, little endian
    Ppc64le,
    /// ARM, 32 bit, EABI
    Arm,
    /// x86, 32 bit
    I386,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Amd64,
        Self::Arm64,
        Self::Riscv64,
        Self::S390x,
        Self::Ppc64le,
        Self::Arm,
        Self::I386,
    ];

    /// The architecture of a Linux platform; `None` when no program can be made for it. The variant does not matter: the programs use
    /// only what every variant has.
    pub fn of(platform: &Platform) -> Option<Self> {
        let named = Self::ALL
            .into_iter()
            .find(|known| known.name() == platform.architecture);
        named.filter(|_| platform.os == "linux")
    }

    /// Go's name, as in `linux/arm64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::Riscv64 => "riscv64",
            Self::S390x => "s390x",
            Self::Ppc64le => "ppc64le",
            Self::Arm => "arm",
            Self::I386 => "386",
        }
    }

    fn is_64_bit(self) -> bool {
        !matches!(self, Self::Arm | Self::I386)
    }

    fn is_big_endian(self) -> bool {
        self == Self::S390x
    }

    /// `e_machine` of the ELF specification.
    fn machine(self) -> u16 {
        match self {
            Self::I386 => 3,
            Self::Ppc64le => 21,
            Self::S390x => 22,
            Self::Arm => 40,
            Self::Amd64 => 62,
            Self::Arm64 => 183,
            Self::Riscv64 => 243,
        }
    }

    /// `e_flags`: ppc64le ABI version 2, arm EABI version 5.
    fn flags(self) -> u32 {
        match self {
            Self::Ppc64le => 2,
            Self::Arm => 0x0500_0000,
            _ => 0,
        }
    }
}

/// Makes a program that prints `text` and exits with 0; a text longer than [`TEXT_LIMIT`] bytes is cut.
pub fn program(architecture: Architecture, text: &str) -> Vec<u8> {
    let text = &text.as_bytes()[..text.len().min(TEXT_LIMIT)];
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    let head: u32 = if architecture.is_64_bit() {
        64 + 56
    } else {
        52 + 32
    };
    let code = code(architecture, length, BASE + head);
    let total = u32::try_from(head as usize + code.len() + text.len()).unwrap_or(u32::MAX);
    let mut file = header(architecture, head, total);
    file.extend(code);
    file.extend_from_slice(text);
    file
}

/// ELF header and the one program header.
fn header(architecture: Architecture, head: u32, total: u32) -> Vec<u8> {
    let wide = architecture.is_64_bit();
    let mut out = Writer {
        bytes: b"\x7fELF".to_vec(),
        wide,
        big: architecture.is_big_endian(),
    };
    out.bytes
        .extend([if wide { 2 } else { 1 }, if out.big { 2 } else { 1 }, 1]);
    out.bytes.resize(16, 0);
    out.half(2); // ET_EXEC
    out.half(architecture.machine());
    out.word(1);
    out.address(BASE + head);
    out.address(if wide { 64 } else { 52 });
    out.address(0); // no sections
    out.word(architecture.flags());
    for half in [
        if wide { 64 } else { 52 },
        if wide { 56 } else { 32 },
        1,
        if wide { 64 } else { 40 },
        0,
        0,
    ] {
        out.half(half);
    }
    out.word(1); // PT_LOAD
    if wide {
        out.word(5); // read, execute
    }
    for address in [0, BASE, BASE, total, total] {
        out.address(address);
    }
    if !wide {
        out.word(5);
    }
    out.address(ALIGN);
    out.bytes
}

/// Writes numbers in the file's width and byte order.
struct Writer {
    bytes: Vec<u8>,
    wide: bool,
    big: bool,
}

impl Writer {
    fn half(&mut self, value: u16) {
        self.bytes.extend(if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend(if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }

    fn address(&mut self, value: u32) {
        let upper = [0; 4];
        if self.wide && self.big {
            self.bytes.extend(upper);
        }
        self.word(value);
        if self.wide && !self.big {
            self.bytes.extend(upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_header_that_binfmt_knows() {
        for architecture in Architecture::ALL {
            let file = program(architecture, "hello\n");
            assert_eq!(&file[..4], b"\x7fELF");
            assert!(
                file[7..16].iter().all(|&byte| byte == 0),
                "binfmt masks test the padding"
            );
            let machine = if architecture.is_big_endian() {
                [0, file[19]]
            } else {
                [file[19], file[18]]
            };
            assert_eq!(u16::from_be_bytes(machine), architecture.machine());
            assert!(file.ends_with(b"hello\n") && file.len() < 200);
        }
    }

    #[test]
    fn platforms_find_their_architecture() {
        let of = |text: &str| Architecture::of(&text.parse().unwrap());
        assert_eq!(of("linux/arm/v7"), Some(Architecture::Arm));
        assert_eq!(of("linux/amd64/v3"), Some(Architecture::Amd64));
        assert_eq!((of("linux/sparc64"), of("windows/amd64")), (None, None));
    }
}
