//! Computed versions: the name of a view with several heads, from which any hub finds the heads again.

use crate::hash::Digest;
use crate::id::Version;
use crate::limits::NAMED_HEADS_MAX;
use crate::time::Micros;

/// `{newest order time}-000000-merge.{8 hex of the policy}.{8 hex of each head, sorted}`; with more than 20 heads it
/// ends in `.n{count}.{16 hex of SHA-256 over the sorted digests}`, and an edit must name the heads themselves.
pub fn computed_version(newest: Micros, policy: &str, heads: &[Digest]) -> Version {
    let mut sorted = heads.to_vec();
    sorted.sort();
    let mut name = format!("{newest}-000000-merge.{policy}");
    if sorted.len() > NAMED_HEADS_MAX {
        let all: Vec<u8> = sorted.iter().flat_map(|digest| digest.0).collect();
        name.push_str(&format!(".n{}.{}", sorted.len(), Digest::of(&all).check()));
    } else {
        for head in &sorted {
            name.push('.');
            name.push_str(&head.short());
        }
    }
    // 32 + 14 + 8 + 20 · 9 bytes at most: within the bound of a version.
    Version::new(&name).unwrap_or_else(|error| panic!("computed version {name}: {error}"))
}

/// The first four bytes of each head that a computed version names; empty for every other name.
pub fn named_heads(version: &Version) -> Vec<[u8; 4]> {
    let Some((_, heads)) = version.as_str().split_once("-000000-merge.") else {
        return Vec::new();
    };
    let read = |hex: &str| {
        data_encoding::HEXLOWER
            .decode(hex.as_bytes())
            .ok()?
            .try_into()
            .ok()
    };
    // The first part is the policy's.
    let heads: Option<Vec<[u8; 4]>> = heads.split('.').skip(1).map(read).collect();
    heads
        .filter(|heads| heads.len() <= NAMED_HEADS_MAX)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computed_version_names_its_heads() {
        let heads = [Digest([0xbb; 32]), Digest([0xaa; 32])];
        let version = computed_version(Micros(1_781_516_462_581_234), "0123abcd", &heads);
        assert_eq!(
            version.as_str(),
            "2026-06-15T09:41:02.581234+00:00-000000-merge.0123abcd.aaaaaaaa.bbbbbbbb"
        );
        assert_eq!(named_heads(&version), vec![[0xaa; 4], [0xbb; 4]]);
        let many: Vec<Digest> = (0..21).map(|n| Digest([n; 32])).collect();
        let version = computed_version(Micros(0), "0123abcd", &many);
        assert!(version.as_str().contains(".n21."), "{version}");
        assert!(named_heads(&version).is_empty(), "too many to name");
        assert!(named_heads(&Version::new("v-1").unwrap()).is_empty());
    }
}
