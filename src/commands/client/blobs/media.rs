//! What a file looks like: by its first bytes, else by its name. For showing alone; nothing relies on it.

const MAGIC: [(&[u8], &str); 10] = [
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
];

const ENDINGS: [(&str, &str); 14] = [
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("svg", "image/svg+xml"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("json", "application/json"),
    ("html", "text/html"),
    ("mp4", "video/mp4"),
    ("mp3", "audio/mpeg"),
];

/// The media type (RFC 6838).
pub fn content_type(name: &str, first: &[u8]) -> &'static str {
    if first.get(..4) == Some(b"RIFF") && first.get(8..12) == Some(b"WEBP") {
        return "image/webp";
    }
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    let magic = MAGIC.iter().find(|(start, _)| first.starts_with(start));
    let named = ENDINGS
        .iter()
        .find(|(known, _)| Some(*known) == ending.as_deref());
    let found = magic.map(|(_, kind)| kind).or(named.map(|(_, kind)| kind));
    found.copied().unwrap_or("application/octet-stream")
}

/// The type of the thing that stands for it, and how another thing relates to it.
pub fn kind(content_type: &str) -> &'static str {
    match content_type {
        kind if kind.starts_with("image/") => "photo",
        "application/pdf" => "manual",
        _ => "blob",
    }
}

/// How a thing relates to one of this type.
pub fn relation(kind: &str) -> &'static str {
    match kind {
        "photo" => "has_photo",
        "manual" => "documented_by",
        _ => "has_blob",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_before_names() {
        assert_eq!(content_type("a.txt", b"%PDF-1.7"), "application/pdf");
        assert_eq!(content_type("a.JPEG", b""), "image/jpeg");
        assert_eq!(content_type("a", b"?"), "application/octet-stream");
        assert_eq!(content_type("a", b"RIFF....WEBPVP8 "), "image/webp");
    }
}
