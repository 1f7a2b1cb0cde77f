//! Removes credentials in URLs from messages.

/// `text` with the user information (the part before `@`) of every URL replaced by `***`.
pub(super) fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        clean.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/\"'<>,)".contains(c)).unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(at) => {
                clean.push_str("***");
                rest = &after[at..];
            }
            None => rest = after,
        }
    }
    clean + rest
}
