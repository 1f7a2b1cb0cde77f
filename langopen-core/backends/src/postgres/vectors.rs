//! The encoding of store items' vectors.

/// Encodes a vector for its column.
pub(super) fn column(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|each| each.to_le_bytes()).collect()
}

/// Decodes a vector from its column.
pub(super) fn vector(column: &[u8]) -> Vec<f32> {
    column.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_back() {
        let held = [1.0, -0.5, f32::MIN_POSITIVE];
        assert_eq!(vector(&column(&held)), held);
    }
}
