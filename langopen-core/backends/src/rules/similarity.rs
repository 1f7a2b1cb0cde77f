//! The similarity of two texts, computed from their vectors.

use langopen_core::model::FieldVector;

/// The highest cosine similarity of any vector to the query. `None` without a query, or if no vector has the query's
/// length.
pub fn best(vectors: &[FieldVector], query: Option<&[f32]>) -> Option<f64> {
    let query = query?;
    let near = vectors.iter().filter(|each| each.vector.len() == query.len()).map(|each| cosine(&each.vector, query));
    near.fold(None, |best: Option<f64>, score| Some(best.map_or(score, |best| best.max(score))))
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let length = (dot(a, a) * dot(b, b)).sqrt();
    // A zero vector has no direction, so it is similar to nothing.
    if length == 0.0 { 0.0 } else { dot(a, b) / length }
}
