"""What a cascade is measured with: clips of real videos, what their keyframes lose, and at which price."""
