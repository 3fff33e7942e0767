//! Custom sections with facts about a guest: contract version, names, producers, target features.
//!
//! All but the contract version are hints. A section that cannot be read counts as absent, as the specification of
//! WebAssembly requires for custom sections.

use std::collections::BTreeMap;

use wasmparser::{BinaryReader, KnownCustom, Name, NameSectionReader};

/// The version of the native contract, as the module declares it. The enum is exhaustive on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AbiVersion {
    /// Nothing.
    #[default]
    Absent,
    /// This version.
    Version(u32),
    /// A section whose length is not four bytes.
    Malformed {
        /// Bytes in the section.
        length: usize,
    },
}

impl AbiVersion {
    pub(super) fn parse(section: &[u8]) -> Self {
        match section.try_into() {
            Ok(bytes) => Self::Version(u32::from_le_bytes(bytes)),
            Err(_) => Self::Malformed { length: section.len() },
        }
    }
}

/// A tool or a language, with its version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Producer {
    /// Its name.
    pub name: String,
    /// Its version; may be empty.
    pub version: String,
}

/// The languages and tools that made the module, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Producers {
    /// Source languages.
    pub languages: Vec<Producer>,
    /// Compilers and tools.
    pub processed_by: Vec<Producer>,
    /// Development kits.
    pub sdks: Vec<Producer>,
}

/// Names from the name section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Names {
    pub(super) module: Option<String>,
    pub(super) functions: BTreeMap<u32, String>,
    pub(super) globals: BTreeMap<u32, String>,
    pub(super) data_segments: BTreeMap<u32, String>,
}

/// The content of the custom sections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CustomSections {
    pub(super) abi_version: AbiVersion,
    pub(super) names: Names,
    pub(super) producers: Producers,
    pub(super) target_features: Vec<String>,
    pub(super) debug_information: bool,
    pub(super) functions: Vec<u8>,
}

impl CustomSections {
    pub(super) fn read(&mut self, section: &wasmparser::CustomSectionReader<'_>) {
        match section.as_known() {
            KnownCustom::Name(names) => self.names = read_names(names),
            KnownCustom::Producers(producers) => self.producers = read_producers(producers).unwrap_or_default(),
            _ => match section.name() {
                guest_abi::names::ABI_SECTION => self.abi_version = AbiVersion::parse(section.data()),
                // Sections of one name are one section in pieces, as linkers join them.
                guest_abi::function::SECTION => self.functions.extend_from_slice(section.data()),
                "target_features" => {
                    self.target_features = read_target_features(section.data()).unwrap_or_default();
                }
                name if name.starts_with(".debug_") => self.debug_information = true,
                _ => {}
            },
        }
    }
}

/// Reads as far as the section is well formed.
fn read_names(section: NameSectionReader<'_>) -> Names {
    let mut names = Names::default();
    for subsection in section {
        match subsection {
            Ok(Name::Module { name, .. }) => names.module = Some(name.to_owned()),
            Ok(Name::Function(map)) => names.functions = read_name_map(map),
            Ok(Name::Global(map)) => names.globals = read_name_map(map),
            Ok(Name::Data(map)) => names.data_segments = read_name_map(map),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    names
}

fn read_name_map(map: wasmparser::NameMap<'_>) -> BTreeMap<u32, String> {
    map.into_iter().map_while(Result::ok).map(|naming| (naming.index, naming.name.to_owned())).collect()
}

fn read_producers(section: wasmparser::ProducersSectionReader<'_>) -> wasmparser::Result<Producers> {
    let mut producers = Producers::default();
    for field in section {
        let field = field?;
        let list = match field.name {
            "language" => &mut producers.languages,
            "processed-by" => &mut producers.processed_by,
            _ => &mut producers.sdks,
        };
        for value in field.values {
            let value = value?;
            list.push(Producer { name: value.name.to_owned(), version: value.version.to_owned() });
        }
    }
    Ok(producers)
}

/// Features with their prefix, `+` for used and `-` for disallowed.
/// Format: <https://github.com/WebAssembly/tool-conventions/blob/main/Linking.md#target-features-section>.
fn read_target_features(section: &[u8]) -> wasmparser::Result<Vec<String>> {
    let mut reader = BinaryReader::new(section, 0);
    let mut features = Vec::new();
    for _ in 0..reader.read_var_u32()? {
        let prefix = char::from(reader.read_u8()?);
        features.push(format!("{prefix}{}", reader.read_string()?));
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_version_is_four_little_endian_bytes() {
        assert_eq!(AbiVersion::parse(&[1, 2, 0, 0]), AbiVersion::Version(0x201));
        assert_eq!(AbiVersion::parse(&[1]), AbiVersion::Malformed { length: 1 });
        assert_eq!(AbiVersion::parse(&[]), AbiVersion::Malformed { length: 0 });
    }

    #[test]
    fn target_features_keep_their_prefix() {
        let section = b"\x02+\x04simd-\x07atomics";
        assert_eq!(read_target_features(section).unwrap(), ["+simd", "-atomics"]);
        assert!(read_target_features(&section[..8]).is_err());
    }
}
