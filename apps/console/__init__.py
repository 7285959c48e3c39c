"""What reaches the terminal: lines, progress, JSON, complaints."""
