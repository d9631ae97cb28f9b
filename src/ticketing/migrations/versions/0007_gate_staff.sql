-- Who scans signs with a name, in free text: found when its bearer's account is erased.
CREATE INDEX admissions_redeemer ON admissions (lower(redeemer));
CREATE INDEX refused_scans_redeemer ON refused_scans (lower(redeemer));
