//! How a client's token crosses between nodes: as a hash with a key that all nodes have.

use aws_lc_rs::hmac;
use peerstar_core::cluster::entry::TokenHash;
use peerstar_core::protocol::id::Token;

use super::seal::{Keys, Purpose};

/// The key of the hashes.
#[derive(Debug, Clone)]
pub struct TokenKey(hmac::Key);

impl TokenKey {
    /// Derives the key from the secret of the cluster.
    ///
    /// # Errors
    /// Never with the lengths that are used here.
    pub fn new(secret: &str) -> Result<Self, aws_lc_rs::error::Unspecified> {
        Keys::new(secret).hash_key(Purpose::Token).map(Self)
    }

    /// Returns the hash of a token, as a token: what all pages of the cluster compare.
    #[must_use]
    pub fn hash(&self, token: &Token) -> Option<Token> {
        let tag = hmac::sign(&self.0, token.as_str().as_bytes());
        TokenHash(tag.as_ref().try_into().ok()?).to_token()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_crosses_as_it_is_and_tells_tokens_and_clusters_apart() {
        let token = |text: &str| Token::parse(text).unwrap();
        let key = TokenKey::new("one secret").unwrap();
        let hash = key.hash(&token("a")).unwrap();
        let crossed = TokenHash::of_token(&hash).and_then(TokenHash::to_token);
        assert!(Token::same(Some(&hash), crossed.as_ref()));
        assert!(Token::same(Some(&hash), key.hash(&token("a")).as_ref()));
        assert!(!Token::same(Some(&hash), key.hash(&token("b")).as_ref()));
        let other = TokenKey::new("another secret").unwrap();
        assert!(!Token::same(Some(&hash), other.hash(&token("a")).as_ref()));
        assert!(!hash.as_str().contains('"') && TokenHash::of_token(&token("a")).is_none());
    }
}
