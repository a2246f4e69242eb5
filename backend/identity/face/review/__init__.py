"""What people see of pictures: portraits in review, replaced faces, pictures that were sent for two students."""
