"""The classes of the 2014 criteria, for a patient of whom everything is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Every answer, mildest first; `inconsistent` fits no class, and is no disease either.
VALUES = (
    "none",
    "mgus",
    "light_chain_mgus",
    "igm_mgus",
    "solitary_plasmacytoma",
    "solitary_plasmacytoma_minimal_marrow",
    "smouldering",
    "multiple_myeloma",
    "inconsistent",
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the classes ask of one patient.

    Attributes:
        marrow: Clonal plasma cells of the marrow, in per cent.
        has_plasmacytoma: Proven by biopsy.
        has_laboratory_event: Calcium, renal, anaemia or free light chain ratio.
        lytic_lesions: On CT, PET-CT or radiographs: 0, 1, or 2 for two and more.
        has_mri_lesions: More than one focal lesion on MRI.
        is_diffuse: Diffuse or micronodular infiltration on MRI.
        m_protein: By immunofixation; `heavy` is IgG, IgA, IgD or IgE.
        is_serum_high: Serum M-protein of 3 g/dL or more.
        is_urine_high: Urine M-protein of 500 mg/24 h or more.
        is_light_chain_clonal: Abnormal free light chain ratio with an increased involved chain.
        has_amyloidosis: Light-chain amyloidosis.
    """

    marrow: Literal["none", "below_10", "10_to_60", "60"]
    has_plasmacytoma: bool
    has_laboratory_event: bool
    lytic_lesions: int
    has_mri_lesions: bool
    is_diffuse: bool
    m_protein: Literal["heavy", "IgM", "light_chain", "none"]
    is_serum_high: bool
    is_urine_high: bool
    is_light_chain_clonal: bool
    has_amyloidosis: bool

    @property
    def is_marrow_full(self) -> bool:
        """10 % clonal plasma cells or more."""
        return self.marrow in ("10_to_60", "60")

    @property
    def has_event(self) -> bool:
        """One myeloma-defining event or more; below 10 % plasma cells one lytic lesion is none yet."""
        lytic_needed = 1 if self.is_marrow_full else 2
        return (
            self.has_laboratory_event
            or self.has_mri_lesions
            or self.marrow == "60"
            or self.lytic_lesions >= lytic_needed
        )


def disease_class(facts: Facts) -> str:
    """Return the class.

    Myeloma needs clonal cells (10 % or a plasmacytoma) and an event. A plasmacytoma with 10 % or more is
    myeloma too (footnote, from general knowledge). An event without clonal cells is inconsistent.
    Smouldering: 10 % to below 60 %, or serum M-protein of 3 g/dL or more (not IgM), or urine of 500
    mg/24 h or more; no event, no amyloidosis.

    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
    """
    if facts.has_event:
        is_clonal = facts.is_marrow_full or facts.has_plasmacytoma
        return "multiple_myeloma" if is_clonal else "inconsistent"
    if facts.has_plasmacytoma:
        return _plasmacytoma(facts)
    if facts.has_amyloidosis or facts.lytic_lesions:
        return "inconsistent"
    if facts.is_marrow_full:
        return "smouldering"
    return _below_10_percent(facts)


def _plasmacytoma(facts: Facts) -> str:
    """Return the class of a plasmacytoma without any event.

    Solitary: normal marrow without clonal cells, and imaging normal but for the one lesion. With clonal
    cells below 10 %: minimal marrow involvement (the limit is from general knowledge).
    """
    if facts.is_marrow_full:
        return "multiple_myeloma"
    if facts.is_diffuse:
        return "inconsistent"
    return "solitary_plasmacytoma" if facts.marrow == "none" else "solitary_plasmacytoma_minimal_marrow"


def _below_10_percent(facts: Facts) -> str:
    """Return the class below 10 % plasma cells, with neither event nor plasmacytoma.

    MGUS: serum M-protein below 3 g/dL. Light-chain MGUS: no heavy chain, clonal free light chains, urine
    below 500 mg/24 h. IgM of 3 g/dL or more belongs to another disease.
    """
    if facts.m_protein == "IgM":
        return "inconsistent" if facts.is_serum_high else "igm_mgus"
    if facts.is_urine_high or (facts.m_protein == "heavy" and facts.is_serum_high):
        return "smouldering"
    if facts.m_protein == "heavy":
        return "mgus"
    if facts.is_light_chain_clonal:
        return "light_chain_mgus"
    return "inconsistent" if facts.m_protein == "light_chain" else "none"
