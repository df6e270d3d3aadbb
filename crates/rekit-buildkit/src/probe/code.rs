//! Machine code for `write(1, text, length); exit(0)` on Linux, one sequence per architecture; the text follows right behind it.
//!
//! System call numbers and registers are those of the kernel's own tables; every sequence was run, natively or under qemu-user.
use super::elf::Architecture;

/// The code; `start` is its own address, which only 386 needs, having no addresses relative to the program counter.
pub(super) fn code(architecture: Architecture, length: u8, start: u32) -> Vec<u8> {
    let wide = u32::from(length);
    match architecture {
        Architecture::Amd64 => amd64(length),
        Architecture::I386 => i386(length, start),
        Architecture::S390x => s390x(length),
        Architecture::Arm64 => little(&[
            0xd280_0808,               // movz x8, 64 (write)
            0xd280_0020,               // movz x0, 1
            0x1000_00c1,               // adr x1, +24
            0xd280_0002 | (wide << 5), // movz x2, length
            0xd400_0001,               // svc 0
            0xd280_0ba8,               // movz x8, 93 (exit)
            0xd280_0000,               // movz x0, 0
            0xd400_0001,               // svc 0
        ]),
        Architecture::Riscv64 => little(&[
            0x0400_0893,                // li a7, 64 (write)
            0x0010_0513,                // li a0, 1
            0x0000_0597,                // auipc a1, 0
            0x01c5_8593,                // addi a1, a1, 28
            0x0000_0613 | (wide << 20), // li a2, length
            0x0000_0073,                // ecall
            0x05d0_0893,                // li a7, 93 (exit)
            0x0000_0513,                // li a0, 0
            0x0000_0073,                // ecall
        ]),
        Architecture::Ppc64le => little(&[
            0x4800_0005,        // bl +4
            0x7c88_02a6,        // mflr r4
            0x3884_0024,        // addi r4, r4, 36
            0x3800_0004,        // li r0, 4 (write)
            0x3860_0001,        // li r3, 1
            0x38a0_0000 | wide, // li r5, length
            0x4400_0002,        // sc
            0x3800_0001,        // li r0, 1 (exit)
            0x3860_0000,        // li r3, 0
            0x4400_0002,        // sc
        ]),
        Architecture::Arm => little(&[
            0xe3a0_7004,        // mov r7, 4 (write)
            0xe3a0_0001,        // mov r0, 1
            0xe28f_1010,        // add r1, pc, 16
            0xe3a0_2000 | wide, // mov r2, length
            0xef00_0000,        // svc 0
            0xe3a0_7001,        // mov r7, 1 (exit)
            0xe3a0_0000,        // mov r0, 0
            0xef00_0000,        // svc 0
        ]),
    }
}

fn amd64(length: u8) -> Vec<u8> {
    vec![
        0xb8, 1, 0, 0, 0, // mov eax, 1 (write)
        0xbf, 1, 0, 0, 0, // mov edi, 1
        0x48, 0x8d, 0x35, 16, 0, 0, 0, // lea rsi, [rip + 16]
        0xba, length, 0, 0, 0, // mov edx, length
        0x0f, 0x05, // syscall
        0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
        0x31, 0xff, // xor edi, edi
        0x0f, 0x05, // syscall
    ]
}

fn i386(length: u8, start: u32) -> Vec<u8> {
    const CODE: u32 = 31;
    let [a, b, c, d] = (start + CODE).to_le_bytes();
    vec![
        0xb8, 4, 0, 0, 0, // mov eax, 4 (write)
        0xbb, 1, 0, 0, 0, // mov ebx, 1
        0xb9, a, b, c, d, // mov ecx, text
        0xba, length, 0, 0, 0, // mov edx, length
        0xcd, 0x80, // int 0x80
        0xb8, 1, 0, 0, 0, // mov eax, 1 (exit)
        0x31, 0xdb, // xor ebx, ebx
        0xcd, 0x80, // int 0x80
    ]
}

fn s390x(length: u8) -> Vec<u8> {
    vec![
        0xa7, 0x29, 0, 1, // lghi r2, 1
        0xc0, 0x30, 0, 0, 0, 9, // larl r3, +18 (in half words)
        0xa7, 0x49, 0, length, // lghi r4, length
        0x0a, 4, // svc 4 (write)
        0xa7, 0x29, 0, 0, // lghi r2, 0
        0x0a, 1, // svc 1 (exit)
    ]
}

fn little(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
