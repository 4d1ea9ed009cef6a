//! What an ELF file says about itself.

use std::collections::BTreeMap;
use std::io;

use object::elf::{DT_NEEDED, EM_AARCH64, ET_DYN, FileHeader64, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// How a program depends on the machine it runs on.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Linkage {
    /// Wants a dynamic loader (`PT_INTERP`).
    pub(crate) interpreter: bool,
    /// Shared libraries it wants (`DT_NEEDED`).
    pub(crate) needed: usize,
    /// Position independent, so that the kernel can place it at random.
    pub(crate) movable: bool,
    /// Runs on 64-bit ARM.
    pub(crate) for_arm: bool,
    /// Carries no symbol table.
    pub(crate) stripped: bool,
}

impl Linkage {
    /// Reads a 64-bit program.
    pub(crate) fn read(bytes: &[u8]) -> io::Result<Self> {
        let wrong = |error: object::Error| io::Error::other(format!("not a 64-bit ELF program: {error}"));
        let header = FileHeader64::<Endianness>::parse(bytes).map_err(wrong)?;
        let endian = header.endian().map_err(wrong)?;
        let movable = header.e_type(endian) == ET_DYN;
        let for_arm = header.e_machine(endian) == EM_AARCH64;
        let mut linkage = Self { interpreter: false, needed: 0, movable, for_arm, stripped: true };
        for segment in header.program_headers(endian, bytes).map_err(wrong)? {
            linkage.interpreter |= segment.p_type(endian) == PT_INTERP;
            let entries = segment.dynamic(endian, bytes).map_err(wrong)?.unwrap_or_default();
            let needed = entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED).count();
            linkage.needed = linkage.needed.saturating_add(needed);
        }
        let file = object::File::parse(bytes).map_err(wrong)?;
        linkage.stripped = file.symbols().next().is_none();
        Ok(linkage)
    }

    /// Needs nothing but the kernel.
    pub(crate) fn is_static(&self) -> bool {
        !self.interpreter && self.needed == 0
    }
}

/// What a linked microcontroller program takes, in bytes.
#[derive(Debug)]
pub(crate) struct Firmware {
    /// Code, constants and first values of variables.
    pub(crate) flash: u64,
    /// Variables; the stack and what lives on it come on top.
    pub(crate) ram: u64,
    /// Flash by crate, ours by module, largest first. Code that was inlined counts where it went.
    pub(crate) parts: Vec<(String, u64)>,
    /// The table `SIZES`: name of a machine and the memory that one takes.
    pub(crate) sizes: Vec<(String, u32)>,
}

/// Bytes of a name in the table `SIZES`; 4 bytes of number follow.
const NAME: usize = 28;

impl Firmware {
    /// Reads a linked program with symbols.
    pub(crate) fn read(bytes: &[u8]) -> io::Result<Self> {
        let wrong = |error: object::Error| io::Error::other(format!("not an ELF program: {error}"));
        let file = object::File::parse(bytes).map_err(wrong)?;
        let mut firmware = Self { flash: 0, ram: 0, parts: parts(&file), sizes: Vec::new() };
        for section in file.sections() {
            let (flash, ram) = match section.kind() {
                SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => (true, false),
                SectionKind::Data => (true, true),
                SectionKind::UninitializedData => (false, true),
                _ => continue,
            };
            let size = section.size();
            firmware.flash = firmware.flash.saturating_add(if flash { size } else { 0 });
            firmware.ram = firmware.ram.saturating_add(if ram { size } else { 0 });
        }
        firmware.sizes = sizes(&file).ok_or_else(|| io::Error::other("the table SIZES is missing"))?;
        Ok(firmware)
    }
}

fn parts(file: &object::File<'_>) -> Vec<(String, u64)> {
    let mut parts = BTreeMap::<String, u64>::new();
    let sized = file.symbols().filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data));
    for symbol in sized {
        let part = parts.entry(owner(symbol.name().unwrap_or_default())).or_default();
        *part = part.saturating_add(symbol.size());
    }
    let mut parts: Vec<_> = parts.into_iter().filter(|&(_, bytes)| bytes > 0).collect();
    parts.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    parts
}

/// The crate of a symbol, with one more component for our own.
fn owner(symbol: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    if !name.contains("::") {
        // What has no path is a constant, one of our tables, or what stands in for a C library.
        let kind = if name.contains("anon.") { "constants" } else { "compiler_builtins" };
        let table = symbol.bytes().all(|letter| letter.is_ascii_uppercase());
        return if table { "tables" } else { kind }.to_owned();
    }
    let mut words = name.split("::").map(|word| word.trim_start_matches(|c: char| !c.is_alphanumeric()));
    let first = words.next().unwrap_or_default();
    // An impl reads `<impl Trait for Type>::f` or `<Type as Trait>::f`; `&` and brackets are cut off above.
    let first = first.rsplit([' ', '<', '&', '[']).next().unwrap_or(first).to_owned();
    match words.next() {
        Some(second) if first.starts_with("bulbil") => format!("{first}::{second}"),
        _ => first,
    }
}

fn sizes(file: &object::File<'_>) -> Option<Vec<(String, u32)>> {
    let table = file.symbol_by_name("SIZES")?;
    let section = file.section_by_index(table.section_index()?).ok()?;
    let bytes = section.data_range(table.address(), table.size()).ok()??;
    let row = |row: &[u8]| {
        let (name, number) = row.split_first_chunk::<NAME>()?;
        let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
        Some((name, u32::from_le_bytes(*number.first_chunk()?)))
    };
    bytes.chunks_exact(NAME.checked_add(4)?).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn a_symbol_belongs_to_a_crate() {
        assert_eq!(owner("_ZN17bulbil_bare_metal7message17hf28998bd2e6af0b4E"), "bulbil_bare_metal::message");
        assert_eq!(owner("_ZN10serde_core3ser10Serializer11collect_seq17hc915fd66a9ed1126E"), "serde_core");
        assert_eq!(owner("_RNvNtCs7NhdfSRABLd_17compiler_builtins3mem6memcpy"), "compiler_builtins");
        assert_eq!(owner("__aeabi_memcpy"), "compiler_builtins");
        assert_eq!(owner(".Lanon.88b94e7312261267de5bd5db2f6d1e4d.173"), "constants");
        assert_eq!(owner("SIZES"), "tables");
        let nested = "_ZN11bulbil_core2id1_81_$LT$impl$u20$serde_core..ser..Serialize$u20$for$u20$bulbil_core..id..BlockId$GT$\
                      9serialize17he060f73761b1b9adE";
        assert_eq!(owner(nested), "bulbil_core::id");
    }
}
