"""How long logs are kept: contract, months, holds, redactions; and that what is over is really gone."""
